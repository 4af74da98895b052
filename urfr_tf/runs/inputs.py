"""What a training reads besides its configuration: checked before it begins, and bound to its run by digests.

A run folder keeps the digest of each input under the key that names it, because the path may lead to other
data when the run is resumed.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from urfr_tf.config.load_config import read_run_config
from urfr_tf.config.tree import Experiment
from urfr_tf.data.manifest import Manifest, load_manifest
from urfr_tf.data.stream.random_crop import check_crop
from urfr_tf.data.stream.settings import Sampling
from urfr_tf.data.stream.soft_labels import check_soft_labels
from urfr_tf.data.stream.training_stream import steps_per_pass
from urfr_tf.data.stream.turned_faces import result_path, turned_paths
from urfr_tf.errors import UrfrError
from urfr_tf.files import file_sha256
from urfr_tf.runs.default_network import find_model
from urfr_tf.runs.network_weights import find_weights

TRAIN, VALIDATION, START = "data.train", "data.validation", "initial_weights"


class Inputs(NamedTuple):
    """What a training reads.

    Attributes:
        manifest: of the shards to train on.
        steps_per_pass: number of full batches in one pass over them.
        digests: key of the configuration, and behind a slash what lies next to the shards -> SHA-256 (hex).
    """

    manifest: Manifest
    steps_per_pass: int
    digests: dict[str, str]


def check_inputs(config: Experiment) -> Inputs:
    """Makes sure that every path of a configuration leads to what it must.

    Raises:
        UrfrError: one does not; the sentence begins with its key.
    """
    with _naming(TRAIN):
        manifest = _open_shards(config.data.train, config.model.input_size)
        if manifest.classes < 2:
            raise UrfrError(
                f"expected at least two identities in {manifest.folder}, but it holds {manifest.classes}"
            )
        steps = count_steps_per_pass(config)
        digests = dict(_digest_shards(TRAIN, manifest, config.data.soft_labels))
        if config.data.turned:
            turned_paths(manifest)
            digests[f"{TRAIN}/turned"] = file_sha256(result_path(manifest))
    if config.data.validation:
        with _naming(VALIDATION):
            validation = _open_shards(config.data.validation, config.model.input_size)
            _check_validation(validation, config.task)
            labels = config.data.soft_labels if config.task == "attributes" else []
            digests.update(_digest_shards(VALIDATION, validation, labels))
    if config.initial_weights:
        with _naming(START):
            digests[START] = digest_start(config.initial_weights)
    return Inputs(manifest, steps, digests)


def count_steps_per_pass(config: Experiment) -> int:
    """Returns the number of full batches in one pass over the shards that a configuration trains on.

    Raises:
        UrfrError: no folder of shards, or too few images for a batch.
    """
    groups = config.uncertainty.grouping if config.task == "uncertainty" else {}
    sampling = Sampling(config.data.batch_size, **groups)
    return steps_per_pass(config.data.train, sampling, config.data.worker_shares)


def digest_start(run: str | Path) -> str:
    """Digests the weights of the run that another one starts from; SHA-256 (hex).

    Raises:
        UrfrError: no run folder, or no weights in it.
    """
    run = find_model(run)
    read_run_config(run)
    return file_sha256(find_weights(run))


def is_start_needed(config: Experiment) -> bool:
    """Returns whether `initial_weights` still act after the first step: as a teacher, or as fixed layers."""
    return config.loss.teacher > 0 or config.task == "uncertainty"


@contextlib.contextmanager
def _naming(key: str) -> Iterator[None]:
    """Puts a key of the configuration in front of an error."""
    try:
        yield
    except UrfrError as error:
        raise UrfrError(f"{key}: {error}") from error


def _open_shards(folder: str, input_size: int) -> Manifest:
    if not folder:
        raise UrfrError("expected a folder of shards, but the key is not set")
    manifest = load_manifest(folder)
    check_crop(manifest, input_size, manifest.image_size)
    return manifest


def _check_validation(manifest: Manifest, task: str) -> None:
    """Refuses shards in which there is nothing to compare."""
    if task == "attributes":
        return
    if manifest.counts.max() < 2 or (task == "recognition" and manifest.classes < 2):
        what = "one image of each person" if manifest.counts.max() < 2 else "one person"
        raise UrfrError(
            "expected at least two people and a person with two images, "
            f"but there is only {what} in {manifest.folder}"
        )


def _digest_shards(key: str, manifest: Manifest, labels: list[str]) -> Iterator[tuple[str, str]]:
    """Digests the manifest with what it lists, and soft labels next to the shards; checks the labels."""
    entries = [
        [entry.get(name) for name in ("records", "bytes", "sha256")] for entry in manifest.raw["shards"]
    ]
    people = [manifest.identities, np.asarray(manifest.counts).tolist()]
    content = json.dumps([manifest.image_size, entries, people])
    yield key, hashlib.sha256(content.encode("ascii")).hexdigest()
    for name in labels:
        digest = hashlib.sha256()
        for path in check_soft_labels(manifest, name):
            digest.update(path.read_bytes())
        yield f"{key}/soft_labels/{name}", digest.hexdigest()
