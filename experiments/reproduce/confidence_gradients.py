"""Where the identification loss pushes the confidences: up or down, for clean and for augmented training
images.

    python -m experiments.reproduce.confidence_gradients --docs docs NAME=RUN...

For each image and sub-embedding k the loss (method, section 2) has the derivative

    dL / ds_k = -(1 / K) sum_j p_j (f_k . w_yk - f_k . w_jk)

by its confidence, p being the softmax with the margin and y the image's person. So a confidence falls only
where the
people that the image is taken for lie nearer than its own: an image that is hard, but found, is pushed up,
and more so than an easy one. Writes docs/lab/confidence_push.md.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from urfr_tf.system.quiet import leave_out_keras_3, quiet_libraries

if __name__ == "__main__":  # Before TensorFlow is imported, which reads the environment only once.
    leave_out_keras_3()
    quiet_libraries()

from experiments.command import with_sentences
from experiments.reproduce.tables import table
from urfr_tf.errors import UrfrError
from urfr_tf.files import write_text

PAGE = "lab/confidence_push.md"
IMAGES = 1024


def compute_gradients(
    groups: np.ndarray, confidence: np.ndarray, prototypes: np.ndarray, labels: np.ndarray, margin: float
) -> tuple[np.ndarray, np.ndarray]:
    """The derivative of each image's loss by log s, and whether its own prototype is the nearest.

    Args:
        groups: f, float64 [N, K, d], groups of norm 1. confidence: s, float64 [N, K].
        prototypes: w, float64 [C, K, d], groups of norm 1. labels: y, int [N]. margin: m, in logit units.

    Returns:
        float64 [N], the sum over k of s_k dL / ds_k: positive where a smaller confidence lowers the loss;
        bool [N].
    """
    count, k = confidence.shape
    cosines = np.einsum("nkd,ckd->nkc", groups, prototypes)
    logits = np.einsum("nk,nkc->nc", confidence / k, cosines)
    rows = np.arange(count)
    is_nearest = logits.argmax(axis=1) == labels
    lowered = logits.copy()
    lowered[rows, labels] -= margin
    shares = np.exp(lowered - lowered.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    # sum_k s_k dL/ds_k: logits are linear in s, so it is the mean logit under p minus the own one, both
    # without margin.
    return (shares * logits).sum(axis=1) - logits[rows, labels], is_nearest


def prototypes_of(run: Path, classes: int, groups: int) -> np.ndarray:
    """Unit prototypes float64 [C, K, d] from a run's last checkpoint.

    Raises:
        UrfrError: no checkpoint, or none with prototypes of so many identities.
    """
    import tensorflow as tf

    last = tf.train.latest_checkpoint(str(run / "checkpoints"))
    if last is None:
        raise UrfrError(f"expected a checkpoint in {run / 'checkpoints'}, but there is none")
    reader = tf.train.load_checkpoint(last)
    names = [
        name
        for name, shape in reader.get_variable_to_shape_map().items()
        if len(shape) == 2 and shape[0] == classes and "OPTIMIZER_SLOT" not in name and "/kernel/" in name
    ]
    if len(names) != 1:
        raise UrfrError(
            f"expected one matrix of prototypes of {classes} identities in {last}, but got {len(names)}"
        )
    kernel = reader.get_tensor(names[0]).astype(np.float64).reshape(classes, groups, -1)
    return kernel / np.linalg.norm(kernel, axis=-1, keepdims=True)


def measure(run: Path) -> dict[str, dict[str, float]]:
    """On the run's own shards: kind of image -> `nearest`, `down` (shares), `slope` (mean) and `level`
    (median s, as a multiple of that on clean images)."""
    from experiments.finetune.quality import Network
    from urfr_tf.augment.choose import VARIATIONS
    from urfr_tf.config.load_config import read_run_config
    from urfr_tf.data.manifest import load_manifest
    from urfr_tf.visualize.model_pictures import CLEAN, sample_kind

    config = read_run_config(run)
    network = Network(run, training=config.train.freeze_batch_norm != "all")
    shards = config.data.train
    manifest = load_manifest(shards)
    prototypes = prototypes_of(run, manifest.classes, config.model.groups)
    results: dict[str, dict[str, float]] = {}
    levels: dict[str, float] = {}
    kinds = (CLEAN, *VARIATIONS)
    drawn = [sample_kind(shards, network.size, IMAGES, kind) for kind in kinds]
    labels = drawn[0][1]
    # Every batch has all kinds, as the statistics of batch norms in training come from mixed images.
    faces = np.stack([faces for faces, _ in drawn], axis=1)
    _, all_groups, all_confidence = network(faces.reshape(-1, *faces.shape[2:]).astype(np.float32))
    for index, kind in enumerate(kinds):
        groups, confidence = all_groups[index :: len(kinds)], all_confidence[index :: len(kinds)]
        slope, is_nearest = compute_gradients(groups, confidence, prototypes, labels, config.loss.margin)
        levels[kind] = float(np.median(confidence))
        results[kind] = {
            "nearest": float(is_nearest.mean()),
            "down": float((slope > 0).mean()),
            "slope": float(slope.mean()),
            "level": levels[kind] / levels[CLEAN],
        }
    return results


def lines(measured: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """The page; name of a run -> what `measure` gives."""
    rows = [
        [
            name,
            kind,
            *(f"{100 * v[key]:.1f}" for key in ("nearest", "down")),
            f"{v['slope']:+.2f}",
            f"{v['level']:.3f}",
        ]
        for name, kinds in measured.items()
        for kind, v in kinds.items()
    ]
    heading = [
        "run",
        "images",
        "own person nearest, %",
        "pushed down, %",
        "dL / d log s, mean",
        "median s over that on clean images",
    ]
    return [
        "# Where the identification loss pushes the confidences",
        "",
        "Written by `python -m experiments.reproduce.confidence_gradients` from the last checkpoints of the "
        f"runs. No figure here is typed. {IMAGES:,} training images were used, mixed, each clean and under "
        "each variation at its strength in training. Batch norms are as in training (by the batch, or "
        "frozen). `pushed down` counts images whose loss a smaller confidence would lower, dL / d log s > 0. "
        "By the loss (method, section 2) these are images for which the people that they are taken for lie "
        "nearer than their own person. A hard image that is still found is pushed up.",
        "",
        *table(heading, rows),
        "",
    ]  # fmt: skip


@with_sentences("confidence_gradients")
def main() -> int:
    """Measures the runs and writes the page; 1 where one does not fit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--docs", required=True, type=Path)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN")
    args = parser.parse_args()
    measured: dict[str, Any] = {}
    for word in args.runs:
        name, _, run = word.rpartition("=")
        measured[name or run] = measure(Path(run))
    write_text(args.docs / PAGE, "\n".join(lines(measured)))
    print(args.docs / PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
