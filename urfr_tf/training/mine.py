"""Mining: theta_A's predictions, or known attributes, as soft labels beside the shards (section 5)."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from urfr_tf import keys
from urfr_tf.config.load_config import read_run_config
from urfr_tf.data import records
from urfr_tf.data.attribute_tables import read_attributes
from urfr_tf.data.manifest import Manifest, load_manifest
from urfr_tf.data.stream.evaluation_stream import evaluation_dataset
from urfr_tf.data.stream.soft_labels import write_soft_labels
from urfr_tf.errors import UrfrError
from urfr_tf.models.attribute_network import attribute_network
from urfr_tf.runs.network_weights import load_network_weights

_BATCH = 64


def mine(
    run: str, shards: str, names: list[str] | None = None, scale_to: int | None = None
) -> dict[str, dict[str, float]]:
    """Writes theta_A's probabilities for every image of a folder of shards.

    Args:
        run: a run folder of the task `attributes`.
        shards: folder of shards; images at least as large as theta_A's input.
        names: which of its attributes; None for all.
        scale_to: side in pixels of the images that theta_A learned on, to which larger ones are shrunk.

    Returns:
        attribute -> {images, mean, positive (share above 0.5)}.

    Raises:
        UrfrError: not such a run, an attribute that it does not know, damaged shards, images that are smaller.
    """
    config = read_run_config(run)
    if config.task != "attributes":
        raise UrfrError(f"expected a run of task: attributes, but {run} is one of task: {config.task}")
    known = config.attribute_targets
    names = names or known
    if unknown := [name for name in names if name not in known]:
        raise UrfrError(f"expected attributes out of {', '.join(known)}, but got {', '.join(unknown)}")
    network = attribute_network(len(known), config.model.input_size)
    load_network_weights(network, run)
    predict = tf.function(lambda image: tf.sigmoid(network({keys.IMAGE: image})[keys.ATTRIBUTE]))
    size = config.model.input_size
    stream = evaluation_dataset(shards, batch_size=_BATCH, crop_size=size, scale_to=scale_to)
    predicted = np.concatenate([predict(batch[keys.IMAGE]).numpy() for batch in stream])
    chosen = {name: predicted[:, known.index(name)] for name in names}
    return _write(load_manifest(shards), chosen)


def label(table: str, shards: str, names: list[str] | None = None) -> dict[str, dict[str, float]]:
    """Writes known attributes, by image or by person, as the labels of every image.

    Raises:
        UrfrError: an unknown attribute, or an image without a label (the first ones are named).
    """
    known, rows = read_attributes(table)
    names = names or known
    if unknown := [name for name in names if name not in known]:
        raise UrfrError(f"expected attributes out of {', '.join(known)}, but got {', '.join(unknown)}")
    manifest = load_manifest(shards)
    values, missing = [], []
    for record in tf.data.TFRecordDataset([str(path) for path in manifest.shard_paths]):
        example = records.parse(record)
        source = example[records.SOURCE].numpy().decode("utf-8", "surrogateescape")
        identity = example[records.IDENTITY].numpy().decode("utf-8", "surrogateescape")
        row = next((rows[key] for key in (source, Path(source).name, identity) if key in rows), None)
        if row is None:
            missing.append(source)
        else:
            values.append(row)
    if missing:
        raise UrfrError(
            f"expected a label in {table} for every image of {shards}, but {len(missing)} have none, "
            f"the first {', '.join(missing[:3])}; prepare the labelled ones alone (--source list)"
        )
    table_values = np.stack(values)
    return _write(manifest, {name: table_values[:, known.index(name)] for name in names})


def _write(manifest: Manifest, columns: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    summary = {}
    for name, values in columns.items():
        write_soft_labels(manifest, name, values)
        summary[name] = {
            "images": len(values),
            "mean": float(values.mean()),
            "positive": float(np.mean(values > 0.5)),
        }
    return summary
