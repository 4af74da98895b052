"""The formats that come from outside: how a small valid file of each is made, and how it is read."""

import io
import json
import pickle
import random
import shutil
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from mutations import mutate

TESTS = Path(__file__).resolve().parents[1]
FOREIGN_GOLDENS = TESTS / "foreign_weights" / "goldens"
RUN_GOLDENS = TESTS / "runs" / "goldens"
sys.path.insert(0, str(TESTS / "helpers"))


def change_bytes(folder: Path, files: tuple[str, ...], chance: random.Random) -> None:
    """Changes one of the files: its bytes, or a value of what is still JSON."""
    path = folder / chance.choice(files)
    content = path.read_bytes()
    if path.suffix == ".json" and chance.random() < 0.7:
        tree = json.loads(content)
        change_value(tree, chance)
        path.write_text(json.dumps(tree))
    else:
        path.write_bytes(mutate(content, chance))


VALUES = (
    None,
    True,
    0,
    -1,
    1e999,
    10**400,
    2**63,
    0.5,
    "",
    "x",
    "../x",
    "a\nb",
    [],
    [1],
    {},
    {"a": 1},
    [[0, 0]],
)


def change_value(tree: object, chance: random.Random) -> None:
    """Replaces, removes or adds a value somewhere in parsed JSON."""
    places = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    if not places:
        return
    place = chance.choice(places)
    inner = tree[place]
    if isinstance(inner, dict | list) and inner and chance.random() < 0.7:
        change_value(inner, chance)
    elif chance.random() < 0.2:
        del tree[place]
    else:
        tree[place] = chance.choice(VALUES)


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        make: writes a small valid file, or several, into a folder.
        read: reads them as the package does; what it gives does not matter.
        files: the names of those that are changed.
        change: changes some of them, from the whole.
        valid: whether the whole is read; an old format may be refused always, by a sentence.
        slow: run with a twentieth of the changes, and by `make fuzz` only.
    """

    make: Callable[[Path], None]
    read: Callable[[Path], object]
    files: tuple[str, ...]
    change: Callable[[Path, tuple[str, ...], random.Random], None] = field(default=change_bytes)
    valid: bool = True
    slow: bool = False


def picture(ending: str = ".png", channels: int = 3, dtype: type = np.uint8, seed: int = 0) -> bytes:
    """A small smooth picture as the bytes of a file."""
    coarse = np.random.default_rng(seed).uniform(0, np.iinfo(dtype).max, [3, 3, channels])
    image = cv2.resize(coarse, (20, 20), interpolation=cv2.INTER_LINEAR).reshape(20, 20, channels)
    return cv2.imencode(ending, image.astype(dtype))[1].tobytes()


# Images


Change = Callable[[Path, tuple[str, ...], random.Random], None]


def image_format(content: Callable[[], bytes], change: Change = change_bytes) -> Format:
    from urfr_tf.data.images import decode_image

    return Format(
        lambda folder: (folder / "image").write_bytes(content()) and None,
        lambda folder: decode_image((folder / "image").read_bytes()),
        ("image",),
        change,
    )


def change_png(folder: Path, files: tuple[str, ...], chance: random.Random) -> None:
    """Changes the bytes of the file, or a chunk with a right check sum, also below its compression."""
    path = folder / files[0]
    content = path.read_bytes()
    if chance.random() < 0.3:
        path.write_bytes(mutate(content, chance))
        return
    chunks, at = [], 8
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    number = chance.randrange(len(chunks))
    kind, body = chunks[number]
    if kind == b"IDAT" and chance.random() < 0.7:
        body = zlib.compress(mutate(zlib.decompress(body), chance))
    else:
        body = mutate(body, chance)
    chunks[number] = (kind, body)
    if chance.random() < 0.2:
        chunks.insert(number, chance.choice(chunks))
    packed = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)
    path.write_bytes(content[:8] + b"".join(packed))


def rotated_jpeg() -> bytes:
    """A JPEG with an EXIF segment that says how it is turned."""
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    content = picture(".jpg")
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:]


def progressive_jpeg() -> bytes:
    image = cv2.imdecode(np.frombuffer(picture(), np.uint8), 1)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()


# Pickles


def make_bin(folder: Path) -> None:
    images = [picture(seed=seed) for seed in range(4)]
    content = pickle.dumps((images, [True, False]), protocol=2)
    (folder / "set.bin").write_bytes(content)


def read_bin_set(folder: Path) -> None:
    from urfr_tf.data.sources import bin_pairs

    bin_pairs.survey(str(folder / "set.bin"))


def make_zip_checkpoint(folder: Path) -> None:
    shutil.copy(FOREIGN_GOLDENS / "lightning.ckpt", folder / "net.pth")


def change_zip(folder: Path, files: tuple[str, ...], chance: random.Random) -> None:
    """Changes the bytes of the archive or those of a member, with a right check sum."""
    if chance.random() < 0.3:
        change_bytes(folder, files, chance)
        return
    path = folder / files[0]
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    pickles = [name for name in members if name.endswith(".pkl")]
    name = chance.choice(pickles if chance.random() < 0.7 and pickles else list(members))
    members[name] = mutate(members[name], chance)
    if chance.random() < 0.2:
        members[chance.choice(("../x", "/x", f"{name}.more", "data.pkl"))] = members[name]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def read_checkpoint(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        from urfr_tf.errors import UrfrError
        from urfr_tf.foreign_weights.iresnet import build_iresnet_graph
        from urfr_tf.foreign_weights.torch_file import read_tensors

        tensors = read_tensors(folder / name)
        try:
            follow_graph(build_iresnet_graph(tensors, str(folder / name))[0])
        except UrfrError as refusal:
            if "\n" in str(refusal):
                raise

    return read


def make_old_checkpoint(folder: Path) -> None:
    """The pickles of torch.save before PyTorch 1.6: magic number, protocol, machine, then the tensors."""
    parts = (
        0x1950A86A20F9469CFC6C,
        1001,
        {"protocol_version": 1001, "little_endian": True},
        {"weight": [1.0]},
    )
    (folder / "net.pth").write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))


# Networks


def follow_graph(output: object) -> None:
    """What `urfr import` does with the graph of a file before it builds a network of that size."""
    from urfr_tf.foreign_weights.graph import accept_our_pixels, tidy_graph
    from urfr_tf.foreign_weights.mapping import recognize_backbone

    graph, _ = tidy_graph(output)
    accept_our_pixels(graph)
    recognize_backbone(graph)


def make_mxnet(folder: Path) -> None:
    """Convolution, batch norm, PReLU, dense layer, batch norm."""
    draw = np.random.default_rng(0).normal
    arrays = {
        "arg:conv_weight": draw(size=(4, 3, 3, 3)),
        **{f"arg:bn_{name}": draw(size=4) for name in ("gamma", "beta")},
        **{f"aux:bn_moving_{name}": np.ones(4) for name in ("mean", "var")},
        "arg:relu_gamma": draw(size=4),
        "arg:fc_weight": draw(size=(5, 36)),
        "arg:fc_bias": draw(size=5),
    }
    content = struct.pack("<QQQ", 0x112, 0, len(arrays))
    for array in arrays.values():
        content += struct.pack(f"<IiI{array.ndim}q", 0xF993FAC9, 0, array.ndim, *array.shape)
        content += struct.pack("<iii", 1, 0, 0) + array.astype("<f4").tobytes()
    content += struct.pack("<Q", len(arrays))
    for name in arrays:
        content += struct.pack("<Q", len(name)) + name.encode()
    (folder / "net-0000.params").write_bytes(content)
    nodes: list[dict[str, object]] = []

    def node(op: str, name: str, inputs: tuple[int, ...] = (), **attributes: str) -> int:
        nodes.append({"op": op, "name": name, "inputs": [[i, 0, 0] for i in inputs], "attrs": attributes})
        return len(nodes) - 1

    def null(name: str) -> int:
        return node("null", name)

    x = node("_minus_scalar", "minus", (null("data"),), scalar="127.5")
    x = node("_mul_scalar", "mul", (x,), scalar="0.0078125")
    x = node(
        "Convolution", "conv", (x, null("conv_weight")), kernel="(3, 3)", stride="(1, 1)", no_bias="True"
    )
    statistics = [null(f"bn_{name}") for name in ("gamma", "beta", "moving_mean", "moving_var")]
    x = node("BatchNorm", "bn", (x, *statistics), eps="2e-05", fix_gamma="False")
    x = node("LeakyReLU", "relu", (x, null("relu_gamma")), act_type="prelu")
    x = node("FullyConnected", "fc", (x, null("fc_weight"), null("fc_bias")), num_hidden="5")
    (folder / "net-symbol.json").write_text(json.dumps({"nodes": nodes, "heads": [[x, 0, 0]]}))


def read_mxnet(folder: Path) -> None:
    from urfr_tf.foreign_weights.mxnet import read_mxnet_graph

    follow_or_refuse(read_mxnet_graph(folder / "net-0000.params")[0])


def follow_or_refuse(output: object) -> None:
    """The small networks of the tests are read, but are no backbone of ours."""
    from urfr_tf.errors import UrfrError

    try:
        follow_graph(output)
    except UrfrError as refusal:
        if "\n" in str(refusal):
            raise


def make_onnx(folder: Path) -> None:
    for name in ("tiny_dynamo.onnx", "tiny_dynamo.onnx.data", "tiny_legacy.onnx"):
        shutil.copy(FOREIGN_GOLDENS / name, folder)


def change_onnx(folder: Path, files: tuple[str, ...], chance: random.Random) -> None:
    """Changes the bytes, or a field of a message that stays well-formed."""
    if chance.random() < 0.5:
        change_bytes(folder, files, chance)
        return
    from urfr_tf.foreign_weights.onnx_schema import build_model_class

    path = folder / chance.choice(files[1:])
    model = build_model_class()()
    model.ParseFromString(path.read_bytes())
    tensor, node = chance.choice(model.graph.initializer), chance.choice(model.graph.node)
    changes = (
        lambda: tensor.dims.append(chance.choice((0, -1, 2**40, 3))),
        lambda: setattr(tensor, "data_type", chance.randrange(-1, 20)),
        lambda: setattr(tensor, "raw_data", mutate(tensor.raw_data, chance)),
        lambda: setattr(tensor, "data_location", 1),
        lambda: tensor.external_data.add(
            key=chance.choice(("offset", "length")), value=chance.choice(NUMBERS)
        ),
        lambda: setattr(tensor, "name", chance.choice(model.graph.initializer).name),
        lambda: node.input.append(chance.choice((*node.input, tensor.name, "nothing"))),
        lambda: node.ClearField(chance.choice(("input", "output", "attribute"))),
        lambda: setattr(node, "op_type", chance.choice([each.op_type for each in model.graph.node])),
        lambda: [a.ints.append(chance.choice((0, -1, 2**40))) for a in node.attribute],
        lambda: [setattr(a, chance.choice("fi"), chance.choice((0, -1, 1 << 30))) for a in node.attribute],
        lambda: model.graph.node.insert(0, node),
        lambda: setattr(model.graph.output[0], "name", chance.choice((tensor.name, node.output[0]))),
    )
    chance.choice(changes)()
    path.write_bytes(model.SerializeToString())


NUMBERS = ("0", "1", "-1", "x", "", "9" * 30, "²", "1e3", "18446744073709551615")


def read_onnx(folder: Path) -> None:
    from urfr_tf.errors import UrfrError
    from urfr_tf.foreign_weights.onnx import read_onnx_graph

    refusal = None
    for name in ("tiny_dynamo.onnx", "tiny_legacy.onnx"):
        try:
            follow_or_refuse(read_onnx_graph(folder / name)[0])
        except UrfrError as error:
            refusal = error
    if refusal is not None:
        raise refusal


# Training data


def make_recordio(folder: Path) -> None:
    record, index = b"", b""
    for number in range(4):
        content = struct.pack("<IfQQ", 0, number // 2, number, 0) + picture(".jpg", seed=number)
        index += f"{number}\t{len(record)}\n".encode()
        record += struct.pack("<II", 0xCED7230A, len(content)) + content + bytes(-len(content) % 4)
    (folder / "train.rec").write_bytes(record)
    (folder / "train.idx").write_bytes(index)
    (folder / "property").write_text("2,112,112")


def read_items(items: object) -> None:
    """Reads every image of a source; one that is refused is counted by its kind."""
    from urfr_tf.data.headers import ImageError
    from urfr_tf.data.images import MAX_BYTES, decode_image
    from urfr_tf.data.sources.item import read_item

    for item in items:
        try:
            decode_image(read_item(item, MAX_BYTES))
        except ImageError as refusal:
            if "\n" in str(refusal):
                raise


def read_recordio(folder: Path) -> None:
    from urfr_tf.data.sources import insightface

    people = insightface.survey(str(folder / "train.rec"))
    read_items(insightface.items(str(folder / "train.rec"), people))


def write_shards(folder: Path, content: list[bytes]) -> None:
    """A shard with right check sums, and a manifest that fits."""
    import tensorflow as tf

    path = folder / "train-00000-of-00001.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in content:
            writer.write(record)
    shard = {"file": path.name, "records": len(content), "bytes": path.stat().st_size, "sha256": ""}
    manifest = {
        "format": "urfr-shards/1",
        "images": 4,
        "classes": 2,
        "image_size": 20,
        "align": "none",
        "template": None,
        "source": {"kind": "folder", "path": "/faces"},
        "shards": [shard],
        "refused": {},
        "versions": {},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "classes.tsv").write_text("0\tann\t2\n1\tbob\t2\n")


def shard_records() -> list[bytes]:
    from urfr_tf.data import records

    return [
        records.serialize(picture(seed=n), n // 2, "ab"[n // 2], f"{n}.png", [1.0] * 10 if n else None)
        for n in range(4)
    ]


def make_shards(folder: Path) -> None:
    write_shards(folder, shard_records())


def change_shards(folder: Path, files: tuple[str, ...], chance: random.Random) -> None:
    """Changes the bytes of a file, or a record whose check sum is then right again."""
    if chance.random() < 0.5:
        change_bytes(folder, files, chance)
        return
    content = shard_records()
    number = chance.randrange(4)
    content[number] = mutate(content[number], chance)
    write_shards(folder, content)


def read_shards(folder: Path) -> None:
    from urfr_tf.data.inspection import sample, summary
    from urfr_tf.data.manifest import load_manifest
    from urfr_tf.data.stream.evaluation_stream import evaluation_batches
    from urfr_tf.protocols.pairs import list_labeled_images

    manifest = load_manifest(folder)
    json.dumps(summary(manifest))
    sample(manifest, 4)
    # All three read the same records, and TensorFlow is slow to begin: the slower ones read fewer files.
    draw = zlib.crc32(manifest.shard_paths[0].read_bytes())
    if draw % 3 == 0:
        images, _, _ = list_labeled_images(str(folder))
        read_items(images.stream())
    if draw % 10 == 0:
        list(evaluation_batches(str(folder), batch_size=4, crop_size=16))


def make_folder_of_people(folder: Path) -> None:
    for person in "ab":
        (folder / "faces" / person).mkdir(parents=True)
        for number in range(2):
            (folder / "faces" / person / f"{person}_{number:04d}.png").write_bytes(picture(seed=number))


def make_csv(folder: Path) -> None:
    make_folder_of_people(folder)
    points = ",".join(str(n) for n in (5, 5, 15, 5, 10, 10, 6, 15, 14, 15))
    lines = [f"faces/{p}/{p}_{n:04d}.png,{p},{points}" for p in "ab" for n in range(2)]
    (folder / "list.csv").write_text("path,identity\n" + "\n".join(lines) + "\n")


def read_csv(folder: Path) -> None:
    from urfr_tf.data.sources import csv_list

    people = csv_list.survey(str(folder / "list.csv"))
    read_items(csv_list.items(str(folder / "list.csv"), people))


def make_pairs(folder: Path) -> None:
    make_folder_of_people(folder)
    names = [f"{p}/{p}_{n:04d}.png" for p in "ab" for n in range(2)]
    lines = [f"{a}\t{b}\t{int(a[0] == b[0])}" for a in names for b in names if a < b]
    (folder / "pairs.tsv").write_text("\n".join(lines) + "\n")
    lfw = ["1\t1", "a\t0\t1", "a\t0\tb\t1"]
    (folder / "lfw.txt").write_text("\n".join(lfw) + "\n")


def read_pairs_of(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        from urfr_tf.protocols.pairs import open_pairs

        open_pairs(str(folder / "faces"), str(folder / name))

    return read


def make_janus(folder: Path) -> None:
    heading = "TEMPLATE_ID,SUBJECT_ID,FILE,MEDIA_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT\n"
    rows = [f"{n},{n // 2},img/{n}.png,{n},1,1,10,10" for n in range(4)]
    (folder / "table.csv").write_text(heading + "\n".join(rows) + "\n")
    (folder / "matches.csv").write_text("1,2\n3,1\n")


def read_janus(folder: Path) -> None:
    from urfr_tf.protocols.template_tables import Builder, parse_box, read_number_pairs, read_rows

    builder = Builder("a test", str(folder))
    for row in read_rows(str(folder / "table.csv"), ("TEMPLATE_ID", "SUBJECT_ID", "FILENAME", "MEDIA_ID")):
        number = builder.template(row["TEMPLATE_ID"], row["SUBJECT_ID"])
        builder.add(number, row["FILENAME"], row["MEDIA_ID"], box=parse_box(row))
    read_items(builder.build(()).images.stream())
    read_number_pairs(str(folder / "matches.csv"))


def make_tar(mode: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        with tarfile.open(folder / "faces.tar", mode) as archive:
            for number in range(3):
                content = picture(seed=number)
                info = tarfile.TarInfo(f"faces/{number}.png")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))

    return make


def read_tar(folder: Path) -> None:
    from urfr_tf.data.images import MAX_BYTES
    from urfr_tf.data.sources import archive

    read_items(archive.files(str(folder / "faces.tar"), MAX_BYTES))


def make_celeba(folder: Path) -> None:
    (folder / "identity_CelebA.txt").write_text("".join(f"{n:06d}.jpg {n // 2}\n" for n in range(4)))


def read_celeba(folder: Path) -> None:
    from urfr_tf.data.sources import celeba

    read_items(celeba.items(str(folder), celeba.survey(str(folder))))


def make_attributes(folder: Path) -> None:
    (folder / "celeba.txt").write_text("2\nMale Young\n1.jpg -1 1\n2.jpg 1 -1\n")
    (folder / "gender.tsv").write_text("key\tgender\tage\na\tyes\t0.5\nb\tno\t1\n")


def read_attribute_tables(folder: Path) -> None:
    from urfr_tf.data.attribute_tables import read_attributes

    for name in ("celeba.txt", "gender.tsv"):
        read_attributes(folder / name)


# Models and what lies beside them


def make_tflite(folder: Path) -> None:
    """A network of a few layers with the signature and the card of an export."""
    import tensorflow as tf

    from urfr_tf.runs.tflite_file import add_card, read_tflite

    normal = np.random.default_rng(0).normal

    def draw(*shape: int) -> tf.Tensor:
        return tf.constant(normal(size=shape), tf.float32)

    kernels = [draw(3, 3, 3, 8), draw(8), draw(3, 3, 8, 1), draw(128, 8), draw(128, 2)]

    def embed(image: tf.Tensor) -> dict[str, tf.Tensor]:
        x = tf.nn.conv2d(image / 128, kernels[0], 2, "SAME") + kernels[1]
        x = tf.nn.relu(x) - 0.1 * tf.nn.relu(-x)
        x = tf.nn.depthwise_conv2d(x, kernels[2], [1, 1, 1, 1], "VALID")
        x = tf.reshape(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), [-1, 128])
        embedding = tf.linalg.l2_normalize(x @ kernels[3], 1)
        confidence = tf.exp(x @ kernels[4] / 100)
        return {"embedding": embedding, "confidence": confidence, "variance": 1 / confidence}

    module = tf.Module()
    module.embed = tf.function(embed, input_signature=[tf.TensorSpec([1, 8, 8, 3], name="image")])
    tf.saved_model.save(module, str(folder / "saved"), {"serving_default": module.embed})
    content = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved")).convert()
    shutil.rmtree(folder / "saved")
    card = read_tflite(RUN_GOLDENS / "model.tflite")[1]
    (folder / "model.tflite").write_bytes(add_card(content, {**card, "input_size": 8}))


def change_tflite(folder: Path, files: tuple[str, ...], chance: random.Random) -> None:
    """Changes the structure, which lies about the weights, more often than the weights."""
    path = folder / files[0]
    content = path.read_bytes()
    if chance.random() < 0.2:
        path.write_bytes(mutate(content, chance))
        return
    begin, end = chance.choice(structure_of(content))
    begin = chance.randrange(begin, end)
    piece = content[begin : begin + 64]
    changed = mutate(piece, chance)
    if chance.random() < 0.8:  # The same length, so that the offsets of all the rest stay right.
        changed = (changed + piece)[: len(piece)]
    path.write_bytes(content[:begin] + changed + content[begin + 64 :])


def structure_of(content: bytes) -> list[tuple[int, int]]:
    """The stretches of a .tflite file between its larger arrays."""
    from urfr_tf.runs.tflite_file import unpack

    arrays = [bytes(np.asarray(b.data, np.uint8)) for b in unpack(content).buffers if b.data is not None]
    places = sorted((content.find(array), len(array)) for array in arrays if len(array) >= 512)
    edges = [0, *(edge for begin, length in places for edge in (begin, begin + length)), len(content)]
    return [(begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=True) if end > begin]


def read_model(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        import urfr_tf

        model = urfr_tf.load(folder / name)
        side = model.input_size
        model(np.zeros([1, side, side, 3], np.uint8))
        use_card(model)

    return read


def use_card(model: object) -> None:
    """Asks an embedder for everything that its card and its threshold say."""
    assert model.aligned_size and model.alignment
    assert model.threshold is None or model.threshold["threshold"] is not None


def make_card(folder: Path) -> None:
    from urfr_tf.runs.tflite_file import read_tflite

    card = read_tflite(RUN_GOLDENS / "model.tflite")[1]
    (folder / "urfr.json").write_text(json.dumps(card, indent=1))
    shutil.copy(RUN_GOLDENS / "model.tflite.threshold.json", folder / "m.threshold.json")


def read_card(folder: Path) -> None:
    from urfr_tf.files import read_json
    from urfr_tf.runs.card import card_of_json
    from urfr_tf.runs.embedder import Embedder

    card = card_of_json(read_json(folder / "urfr.json"), folder / "urfr.json")
    model = Embedder(str(folder / "m"), "tflite", 32, 4, 16, "", lambda crops: {}, card)
    use_card(model)
    server = Embedder("localhost", "server", 32, 4, 16, "", lambda crops: {}, card)
    use_card(server)


def make_weights(folder: Path) -> None:
    from urfr_tf.runs.network_weights import save_network_weights

    save_network_weights(_network(), folder)


def read_weights(folder: Path) -> None:
    from urfr_tf.runs.network_weights import load_network_weights

    load_network_weights(_network(), folder)


_networks: list[object] = []


def _network() -> object:
    """A network with a few arrays, built once."""
    if not _networks:
        from urfr_tf.keras2 import keras

        layers = [keras.layers.Dense(3, input_shape=(4,)), keras.layers.BatchNormalization()]
        _networks.append(keras.Sequential(layers))
    return _networks[0]


def make_saved_model(folder: Path) -> None:
    shutil.copytree(RUN_GOLDENS / "saved_model" / "1", folder / "model")


def check_graph(folder: Path) -> None:
    from urfr_tf.runs.saved_model_check import check_saved_model

    check_saved_model(folder / "model")


def make_run(folder: Path) -> None:
    for name in ("config.yaml", "run.json", "threshold.json", "log.csv"):
        shutil.copy(RUN_GOLDENS / "run" / name, folder)


def read_run(folder: Path) -> None:
    from urfr_tf.config.load_config import read_run_config
    from urfr_tf.runs.epoch_log import EpochLog
    from urfr_tf.runs.run_card import make_run_card

    make_run_card(folder, read_run_config(folder))
    EpochLog(folder / "log.csv", 10)


def make_configuration_file(folder: Path) -> None:
    shutil.copy(TESTS.parent / "configs" / "scratch.yaml", folder)


def read_configuration_file(folder: Path) -> None:
    from urfr_tf.config.load_config import load_config

    load_config(folder / "scratch.yaml")


def make_report(folder: Path) -> None:
    np.savez(folder / "scores.npz", scores=np.linspace(-1, 1, 8), same=np.arange(8) % 2 == 0, cmc=np.ones(3))
    shutil.copy(RUN_GOLDENS / "run" / "log.csv", folder)


def read_report(folder: Path) -> None:
    """The report says in sentences what it cannot use, and raises nothing itself."""
    from urfr_tf.errors import UrfrError
    from urfr_tf.visualize.sources import ReportedEvaluation, read_log, read_scores

    missing: list[str] = []
    evaluation = ReportedEvaluation("a", folder, "pairs", "m", "cosine", {}, {}, {})
    read_scores(folder / "scores.npz", evaluation, missing)
    read_log(folder / "log.csv", missing)
    if missing:
        raise UrfrError(missing[0])


def make_dlib(folder: Path) -> None:
    from dlib_writer import SMALL, dlib_file

    random_numbers = np.random.default_rng(0)
    content = dlib_file(lambda shape: random_numbers.normal(size=shape).astype(np.float32), stages=SMALL)[0]
    (folder / "network.dat").write_bytes(content)


def read_dlib(folder: Path) -> None:
    from dlib_writer import SMALL

    from urfr_tf.foreign_weights.bounded import read_file
    from urfr_tf.foreign_weights.dlib_file import parse_dlib_network

    path = folder / "network.dat"
    parse_dlib_network(read_file(path), str(path), SMALL)


def change_dlib(folder: Path, files: tuple[str, ...], chance: random.Random) -> None:
    """Changes what lies between the numbers more often than the numbers, which may be any."""
    path = folder / files[0]
    content = path.read_bytes()
    names = [at for word in (b"con_4", b"affine_", b"fc_2") for at in find_all(content, word)]
    begin = chance.choice([0, *names])
    piece = content[begin : begin + 60]
    changed = mutate(content, chance) if chance.random() < 0.3 else None
    path.write_bytes(changed or content[:begin] + mutate(piece, chance) + content[begin + 60 :])


def find_all(content: bytes, word: bytes) -> list[int]:
    return [at for at in range(len(content)) if content.startswith(word, at)]


# Galleries


def make_gallery(folder: Path) -> None:
    """A gallery with a calibration and a matrix; every file of it is whole without a journal."""
    from gallery_people import crowd, embedder, probes

    from urfr_tf.gallery import Gallery
    from urfr_tf.gallery.templates import Faces

    with Gallery.create(folder / "known.gallery", embedder()) as gallery:
        gallery.add(crowd(5))
        embedding, variance = probes(list(range(100, 112)))
        faces = Faces(embedding.reshape(12, variance.shape[1], -1), variance)
        gallery.calibrate(faces, [str(number) for number in range(12)], fpir=0.5, thin=True)


def read_gallery(folder: Path) -> object:
    """Everything that a command may read."""
    from gallery_people import probes

    from urfr_tf.gallery import Gallery

    with Gallery(folder / "known.gallery") as gallery:
        people = [gallery.export(person.name) for person in gallery.people()]
        return people, gallery.search(*probes([1])), gallery.warnings(), gallery.faults()


PRELOADED = ("tensorflow",)
"""Imported before memory is limited: what a library takes for itself is not the readers'."""

FORMATS: dict[str, Callable[[], Format]] = {
    "jpeg": lambda: image_format(lambda: picture(".jpg")),
    "jpeg, rotated": lambda: image_format(rotated_jpeg),
    "jpeg, progressive": lambda: image_format(progressive_jpeg),
    "png": lambda: image_format(picture, change_png),
    "png, 16 bit and alpha": lambda: image_format(lambda: picture(".png", 4, np.uint16), change_png),
    "webp": lambda: image_format(lambda: picture(".webp")),
    "bmp": lambda: image_format(lambda: picture(".bmp")),
    "pnm": lambda: image_format(lambda: picture(".ppm", 3, np.uint16)),
    "bin": lambda: Format(make_bin, read_bin_set, ("set.bin",)),
    "pth": lambda: Format(make_zip_checkpoint, read_checkpoint("net.pth"), ("net.pth",), change_zip),
    "pth, before 1.6": lambda: Format(
        make_old_checkpoint, read_checkpoint("net.pth"), ("net.pth",), valid=False
    ),
    "safetensors": lambda: Format(
        lambda folder: shutil.copy(FOREIGN_GOLDENS / "plain.safetensors", folder) and None,
        read_checkpoint("plain.safetensors"),
        ("plain.safetensors",),
    ),
    "mxnet": lambda: Format(make_mxnet, read_mxnet, ("net-0000.params", "net-symbol.json")),
    "onnx": lambda: Format(
        make_onnx, read_onnx, ("tiny_dynamo.onnx.data", "tiny_dynamo.onnx", "tiny_legacy.onnx"), change_onnx
    ),
    "dlib": lambda: Format(make_dlib, read_dlib, ("network.dat",), change_dlib),
    "recordio": lambda: Format(make_recordio, read_recordio, ("train.rec", "train.idx", "property")),
    "shards": lambda: Format(
        make_shards,
        read_shards,
        ("train-00000-of-00001.tfrecord", "manifest.json", "classes.tsv"),
        change_shards,
    ),
    "csv list": lambda: Format(make_csv, read_csv, ("list.csv",)),
    "pairs, table": lambda: Format(make_pairs, read_pairs_of("pairs.tsv"), ("pairs.tsv",)),
    "pairs, lfw": lambda: Format(make_pairs, read_pairs_of("lfw.txt"), ("lfw.txt",)),
    "janus tables": lambda: Format(make_janus, read_janus, ("table.csv", "matches.csv")),
    "tar": lambda: Format(make_tar("w"), read_tar, ("faces.tar",)),
    "tar.gz": lambda: Format(make_tar("w:gz"), read_tar, ("faces.tar",)),
    "celeba list": lambda: Format(make_celeba, read_celeba, ("identity_CelebA.txt",)),
    "attribute tables": lambda: Format(make_attributes, read_attribute_tables, ("celeba.txt", "gender.tsv")),
    "tflite": lambda: Format(make_tflite, read_model("model.tflite"), ("model.tflite",), change_tflite),
    "card and threshold": lambda: Format(make_card, read_card, ("urfr.json", "m.threshold.json")),
    "hdf5 weights": lambda: Format(make_weights, read_weights, ("inference.weights.h5",)),
    "graph of a SavedModel": lambda: Format(make_saved_model, check_graph, ("model/saved_model.pb",)),
    "SavedModel": lambda: Format(
        make_saved_model,
        read_model("model"),
        ("model/saved_model.pb", "model/variables/variables.index", "model/assets/urfr.json"),
        slow=True,
    ),
    "run folder": lambda: Format(
        make_run, read_run, ("config.yaml", "run.json", "threshold.json", "log.csv")
    ),
    "configuration": lambda: Format(make_configuration_file, read_configuration_file, ("scratch.yaml",)),
    "gallery": lambda: Format(
        make_gallery, read_gallery, ("known.gallery", "known.gallery-likelihood.matrix")
    ),
    "report": lambda: Format(make_report, read_report, ("scores.npz", "log.csv")),
}
"""Name -> format; a function each, so that nothing is imported or made before it is needed."""
