"""Mining: predicted or known attributes as soft labels of a folder of shards (method, section 5)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.load_config import read_run_config
from urfr_tf.config.tree import Experiment
from urfr_tf.data import records
from urfr_tf.data.attribute_tables import read_attributes
from urfr_tf.data.manifest import Manifest, load_manifest
from urfr_tf.data.names import NameTable
from urfr_tf.data.stream.evaluation_stream import evaluation_batches
from urfr_tf.data.stream.soft_labels import write_soft_labels
from urfr_tf.errors import UrfrError
from urfr_tf.metrics.arrays import Float32s
from urfr_tf.models.attribute_network import attribute_network
from urfr_tf.runs.network_weights import load_network_weights
from urfr_tf.system.plain_paths import plain_path

_BATCH = 64


class LabelSummary(TypedDict):
    """How the soft labels of one attribute are distributed.

    Attributes:
        images: number of images.
        mean: mean label.
        positive: fraction of labels above 0.5.
    """

    images: int
    mean: float
    positive: float


def mine_labels(
    run: str, shards: str, names: Sequence[str] | None = None, scale_to: int | None = None
) -> dict[str, LabelSummary]:
    """Writes the probabilities that an attribute network predicts for every image of a folder of shards.

    Args:
        run: a run folder of the task `attributes`.
        shards: folder of shards; its images are at least as large as the network's input.
        names: which of the network's attributes; None for all.
        scale_to: side in pixels of the images that the network learned on. Larger images are shrunk to it.

    Returns:
        A summary of the labels of each attribute.

    Raises:
        UrfrError: no such run, an attribute that it does not know, damaged shards, or images that are too
            small.
    """
    config = read_run_config(run)
    if config.task != "attributes":
        raise UrfrError(f"expected a run of task: attributes, but {run} is one of task: {config.task}")
    names = choose_names(config.attribute_targets, names)
    predicted = predict_attributes(config, run, shards, scale_to)
    columns = {name: predicted[:, config.attribute_targets.index(name)] for name in names}
    return write_columns(load_manifest(shards), columns)


def predict_attributes(config: Experiment, run: str, shards: str, scale_to: int | None) -> Float32s:
    """Predicts the probability of each attribute of a run for every image of the shards, float32 [N, A]."""
    size = config.model.input_size
    network = attribute_network(len(config.attribute_targets), size, config.model.zero_pixel)
    load_network_weights(network, run)
    predict = tf.function(lambda image: tf.sigmoid(network({keys.IMAGE: image})[keys.ATTRIBUTE]))
    stream = evaluation_batches(shards, batch_size=_BATCH, crop_size=size, scale_to=scale_to)
    return np.concatenate([predict(batch[keys.IMAGE]).numpy() for batch in stream])


def write_known_labels(
    table: str, shards: str, names: Sequence[str] | None = None
) -> dict[str, LabelSummary]:
    """Writes known attributes, given by image or by person, as the labels of every image.

    Args:
        table: a file that `read_attributes` reads.
        shards: folder of shards.
        names: which attributes of the table; None for all.

    Returns:
        A summary of the labels of each attribute.

    Raises:
        UrfrError: an unknown attribute, or images without a label (the first ones are named).
    """
    known, rows = read_attributes(table)
    names = choose_names(known, names)
    manifest = load_manifest(shards)
    labels, missing = match_labels(manifest, rows)
    if missing:
        raise UrfrError(
            f"expected a label in {table} for every image of {shards}, but {len(missing)} have none, "
            f"the first {', '.join(missing[:3])}; prepare the labeled ones alone (--source list)"
        )
    table_values = np.stack(labels)
    return write_columns(manifest, {name: table_values[:, known.index(name)] for name in names})


def choose_names(known: Sequence[str], names: Sequence[str] | None) -> Sequence[str]:
    """Returns the attributes to write: `names`, or all that are known.

    Raises:
        UrfrError: one of them is not known.
    """
    names = names or known
    if unknown := [name for name in names if name not in known]:
        raise UrfrError(f"expected attributes out of {', '.join(known)}, but got {', '.join(unknown)}")
    return names


def match_labels(manifest: Manifest, rows: Mapping[str, Float32s]) -> tuple[list[Float32s], list[str]]:
    """Finds the row of each image by its path, its file name, or its person, in any Unicode form.

    Args:
        manifest: of the shards.
        rows: path, file name or person -> the attributes.

    Returns:
        The rows in the order of the records, and the paths of the images that have none.
    """
    table = NameTable(rows.items())
    labels, missing = [], []
    for record in tf.data.TFRecordDataset([plain_path(path) for path in manifest.shard_paths]):
        example = records.parse(record)
        source = example[records.SOURCE].numpy().decode("utf-8", "surrogateescape")
        identity = example[records.IDENTITY].numpy().decode("utf-8", "surrogateescape")
        found = table.find(source) or table.find(Path(source).name) or table.find(identity)
        if found:
            labels.append(found[0])
        else:
            missing.append(source)
    return labels, missing


def write_columns(manifest: Manifest, columns: Mapping[str, Float32s]) -> dict[str, LabelSummary]:
    """Writes the soft labels of each attribute and returns a summary of them."""
    summary: dict[str, LabelSummary] = {}
    for name, values in columns.items():
        write_soft_labels(manifest, name, values)
        summary[name] = {
            "images": len(values),
            "mean": float(values.mean()),
            "positive": float(np.mean(values > 0.5)),
        }
    return summary
