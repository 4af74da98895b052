"""`urfr embed` as a Beam pipeline, for a list that is too long for one machine.

`python -m urfr_tf.embedding.beam --help` shows its options.

Needs the extra `beam`. Photographs are read and aligned in batches, embedded by Beam's RunInference with one
model for each process, and written as sharded TFRecords of tf.train.Example. An example has `path` (bytes),
`found` (int64), and where a face was found `embedding` (float [D]) and `confidence` (float [K]), elsewhere
`refused` (bytes), the reason. The records are in the order in which Beam finishes them, not in that of the
list.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.options.pipeline_options import PipelineOptions

from urfr_tf import keys
from urfr_tf.data.cropper import CropSettings
from urfr_tf.data.detector_options import add_detector_options, read_crop_settings
from urfr_tf.errors import UrfrError
from urfr_tf.runs.default_network import add_model_option
from urfr_tf.runs.embedder import Embedder
from urfr_tf.runs.load_model import load_model

Crop: TypeAlias = tuple[str, npt.NDArray[np.uint8]]
"""A path and its aligned crop [S, S, 3]."""
Result: TypeAlias = tuple[str, npt.NDArray[np.float32] | None, npt.NDArray[np.float32] | None, str]
"""A path, its embedding [D] and confidence [K], or None twice and the reason where no face was found."""


class EmbedderHandler(ModelHandler[Crop, Result, Embedder]):
    """Embeds crops in batches, for RunInference.

    Args:
        model: path of the model.
        batch: most crops that are embedded at once.
    """

    def __init__(self, model: str, batch: int = 64) -> None:
        super().__init__(min_batch_size=1, max_batch_size=batch)
        self.model = model

    def load_model(self) -> Embedder:
        """Loads the model; Beam calls it once in each process."""
        return load_model(self.model)

    def run_inference(
        self, batch: Sequence[Crop], model: Embedder, inference_args: object = None
    ) -> Iterable[Result]:
        """Embeds a batch of crops of one size."""
        outputs = model(np.stack([crop for _, crop in batch]))
        rows = zip(batch, outputs[keys.EMBEDDING], outputs[keys.CONFIDENCE], strict=True)
        return [(path, embedding, confidence, "") for (path, _), embedding, confidence in rows]


class AlignFn(beam.DoFn):
    """Reads and aligns batches of paths; photographs without a face go to the output `refused`.

    Args:
        settings: how a photograph becomes a crop.
    """

    def __init__(self, settings: CropSettings) -> None:
        self.settings = settings

    # Any: Beam checks its graph by this annotation, which cannot say what leaves by which output.
    def process(self, paths: list[str]) -> Iterator[Any]:
        """Reads and aligns one batch. A file that cannot be read is refused and stops nothing."""
        from urfr_tf.embedding.photographs import crop_photographs

        for photograph in crop_photographs(paths, self.settings):
            if photograph.crop is None:
                yield beam.pvalue.TaggedOutput("refused", (photograph.path, None, None, photograph.refused))
            else:
                yield photograph.path, photograph.crop


def embed_paths(paths: beam.PCollection, model: str, settings: CropSettings) -> beam.PCollection:
    """Adds reading, aligning and embedding to a pipeline.

    Args:
        paths: PCollection of paths.
        model: path of the model.
        settings: how a photograph becomes a crop; its size is the model's.

    Returns:
        PCollection of `Result`.
    """
    aligned = (
        paths
        | "Batch" >> beam.BatchElements(min_batch_size=1, max_batch_size=256)
        | "Align" >> beam.ParDo(AlignFn(settings)).with_outputs("refused", main="crops")
    )
    embedded = aligned.crops | "Embed" >> RunInference(EmbedderHandler(model))
    return (embedded, aligned.refused) | "Join" >> beam.Flatten()


def serialize_result(result: Result) -> bytes:
    """Serializes one result as a tf.train.Example."""
    import tensorflow as tf

    path, embedding, confidence, refused = result
    features = {
        "path": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[path.encode("utf-8", "surrogateescape")])
        ),
        "found": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(embedding is not None)])),
    }
    if refused:
        reason = refused.encode("utf-8", "surrogateescape")
        features["refused"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[reason]))
    for name, values in ((keys.EMBEDDING, embedding), (keys.CONFIDENCE, confidence)):
        if values is not None:
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=values))
    example: bytes = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    return example


def main(argv: list[str] | None = None) -> int:
    """Runs the pipeline. Options that it does not know are passed to Beam (--runner, ...)."""
    parser = argparse.ArgumentParser(prog="python -m urfr_tf.embedding.beam", description=__doc__)
    add_model_option(parser)
    parser.add_argument("--images", required=True, metavar="LIST", help="text file, one path a line")
    parser.add_argument("--out", required=True, metavar="PREFIX", help="of the TFRecord shards")
    parser.add_argument("--align", choices=["mtcnn", "none"])
    add_detector_options(parser)
    args, rest = parser.parse_known_args(argv)
    try:
        model = load_model(args.model)
    except UrfrError as error:
        print(f"urfr_tf.embedding.beam: {error}", file=sys.stderr)
        return 1
    settings = read_crop_settings(args, model.aligned_size, args.align or model.alignment, "largest")
    with beam.Pipeline(options=PipelineOptions(rest)) as pipeline:
        lines = pipeline | "List" >> beam.io.ReadFromText(args.images)
        # Windows' editors write a byte-order mark before the first line and \r behind each.
        paths = lines | "Strip" >> beam.Map(lambda line: line.strip("\ufeff\r")) | beam.Filter(bool)
        results = embed_paths(paths, args.model, settings)
        (
            results
            # A lambda: Beam would check its graph by the function's annotations and does not know NDArray.
            | "Serialize" >> beam.Map(lambda result: serialize_result(result))
            | "Write" >> beam.io.WriteToTFRecord(args.out, file_name_suffix=".tfrecord")
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
