"""A TFDS image-classification data set that is on this machine: --source tfds:NAME --path DATA_DIR.

NAME may carry a configuration and a version (name/config:1.0.0). Every split is read in its stored
order; nothing is downloaded (`tfds build NAME --data_dir DATA_DIR` does that).
"""

from collections import Counter
from collections.abc import Container, Iterator
from typing import Any

from urfr_tf.data.sources.item import Item
from urfr_tf.errors import UrfrError


def survey(path: str, name: str) -> dict[str, int]:
    """Identity (the label's name) -> number of its images; reads the labels once.

    Raises:
        UrfrError: the data set is not there, or has not one image and one class label an example.
    """
    people = Counter(identity for identity, _, _ in _examples(path, name, images=False))
    if not people:
        raise UrfrError(f"expected examples in the TFDS data set {name} in {path}, but it has none")
    return dict(people)


def items(path: str, keep: Container[str], name: str) -> Iterator[Item]:
    """The images of the people in `keep`, encoded as they are stored."""
    for identity, key, content in _examples(path, name, images=True):
        if identity in keep:
            yield Item(identity, key, content=content)


def _examples(path: str, name: str, images: bool) -> Iterator[tuple[str, str, bytes]]:
    import tensorflow as tf
    import tensorflow_datasets as tfds

    builder = _builder(tfds, path, name)
    image, label = _features(tfds, builder, name)
    wanted: dict[str, Any] = {label: True, **({image: True} if images else {})}
    decoders = tfds.decode.PartialDecoding(wanted, {image: tfds.decode.SkipDecoding()} if images else None)
    reading = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    for split in sorted(builder.info.splits):
        examples = builder.as_dataset(
            split=split, decoders=decoders, read_config=reading, shuffle_files=False
        )
        for number, example in enumerate(examples.prefetch(tf.data.AUTOTUNE).as_numpy_iterator()):
            identity = builder.info.features[label].int2str(int(example[label]))
            yield identity, f"{split}/{number:09d}", example[image] if images else b""


def _builder(tfds: Any, path: str, name: str) -> Any:
    try:
        # From the files alone: the code that made the data set need not be there and is not run.
        builder = tfds.core.read_only_builder.builder_from_files(name, data_dir=path)
    except Exception as error:  # TFDS has an exception for each of the many ways a name can be wrong.
        raise UrfrError(
            f"expected the TFDS data set {name} in {path}, but it cannot be opened "
            f"({' '.join(str(error).split())[:200]}); `tfds build {name} --data_dir {path}` prepares it"
        ) from error
    return builder


def _features(tfds: Any, builder: Any, name: str) -> tuple[str, str]:
    """The keys of the one image and the one class label."""
    features = builder.info.features
    images = [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
    labels = [key for key, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
    if builder.info.supervised_keys and len(builder.info.supervised_keys) == 2:
        first, second = builder.info.supervised_keys
        images = [key for key in images if key == first] or images
        labels = [key for key in labels if key == second] or labels
    if len(images) != 1 or len(labels) != 1:
        raise UrfrError(
            f"expected one image and one class label an example in {name}, but it has "
            f"{len(images)} images and {len(labels)} labels"
        )
    return images[0], labels[0]
