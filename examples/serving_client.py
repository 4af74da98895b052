"""Compare two photographs through TensorFlow Serving.

    urfr export --run default --format saved_model --out export
    URFR_SAVED_MODEL=$PWD/export/saved_model docker compose -f export/serving/compose.yaml up -d
    python examples/serving_client.py localhost:8500 export/saved_model/1/assets/urfr.json A.jpg B.jpg

This program finds and aligns the faces. The server only embeds them.
"""

import argparse

from urfr_tf.data.cropper import CropSettings
from urfr_tf.embedding.compare import compare_photographs
from urfr_tf.export.client import Client, Server, read_served_card


def main() -> None:
    """Prints the similarity of the two faces."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="HOST:PORT, of gRPC or with --rest of REST")
    parser.add_argument("card", help="assets/urfr.json of the export that is served")
    parser.add_argument("a", help="a photograph")
    parser.add_argument("b", help="another photograph")
    parser.add_argument("--rest", action="store_true", help="use REST instead of gRPC")
    args = parser.parse_args()

    client = Client(Server(args.address, rest=args.rest, deadline=30.0))
    model = client.make_embedder(read_served_card(args.card))  # called like what urfr_tf.load returns
    settings = CropSettings(size=model.aligned_size, align=model.alignment)
    result = compare_photographs(model, args.a, args.b, settings, faces="all")
    print(f"cosine {result['cosine']:.3f}, same person: {result['same']}")


if __name__ == "__main__":
    main()
