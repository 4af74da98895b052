"""What confidences know, how alike the sub-embeddings are, and what any weighting of them could gain at most.

    python -m experiments.finetune.why --train SHARDS --data SHARDS --docs docs RUN...

On all images of a folder of shards, clean and degraded: docs/lab/finetuning_why.md. The shards of training
people are for what could be known at best (`quality`).
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import Ridge

from urfr_tf.system.quiet import leave_out_keras_3, quiet_libraries

if __name__ == "__main__":  # Before TensorFlow is imported, which reads the environment only once.
    leave_out_keras_3()
    quiet_libraries()

from experiments.command import with_sentences
from experiments.finetune.quality import COPIES, Network, degraded, learn
from experiments.reproduce.tables import table
from urfr_tf.files import write_text
from urfr_tf.metrics import tar_at_far
from urfr_tf.protocols.pairs import open_pairs
from urfr_tf.training.validation import read_image_batches

CONDITIONS = ("resolution:24", "resolution:16", "blur:25", "occlusion:4", "noise:40")
CLEAN = "clean"
FAR = 1e-3
SHRINKAGE = 0.05
PAGE = "lab/finetuning_why.md"
FIGURES = {
    "level": "confidence, share of clean",
    "spread": "spread of log s between images",
    "knows_images": "rank correlation with quality, between images",
    "knows_groups": "the same, between the groups of an image",
    "known_images": "as between images, by ridge regression",
    "known_groups": "as between groups, by ridge regression",
    "quality_spread": "spread of quality between the groups of an image",
    "alike": "correlation of two groups' cosines, impostors",
    "alike_genuine": "the same, genuine pairs",
    "read_off": "told from clean by the embedding",
    "read_off_group": "told from clean by one group, mean of the groups",
    "equal": "TAR, groups equal",
    "learned": "TAR, groups by confidence",
    "known": "TAR, groups by ridge regression",
    "oracle": "TAR, groups by true quality",
}


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's along the last axis [..., N], averaged over the others."""
    a, b = (rankdata(values, axis=-1) - (values.shape[-1] + 1) / 2 for values in (one, other))
    return float(np.mean((a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))))


def alike(cosines: np.ndarray) -> float:
    """Mean correlation of two groups' cosines over pairs [P, K]; 0 where groups judge independently of each
    other."""
    matrix = np.corrcoef(cosines.T)
    return float(matrix[~np.eye(len(matrix), dtype=bool)].mean())


def told_apart(one: np.ndarray, other: np.ndarray, learning: np.ndarray) -> float:
    """Balanced accuracy of a linear classifier (ridge) of two sets of vectors [N, D] on the images that it
    did not learn from."""
    both = np.concatenate([one[learning], other[learning]])
    side = np.repeat([1.0, -1.0], np.count_nonzero(learning))
    fitted = Ridge(SHRINKAGE * np.var(both, axis=0).mean() * len(both)).fit(both, side)
    first, second = (fitted.predict(values[~learning]) > 0 for values in (one, other))
    return float((np.mean(first) + np.mean(~second)) / 2)


def tar(
    gallery: np.ndarray, probes: np.ndarray, weights: np.ndarray, pairs: Any, people: np.ndarray
) -> float:
    """TAR at FAR 1e-3 of sum_k w_k cos_k / |w|, by the probe's weights alone.

    Args:
        gallery, probes: [N, K, d], unit groups of image and degraded image. weights: [N, K] of the probes, at
            least 0.
        pairs: the genuine ones (first, second). people: [N]; every pair of two people is an impostor.
    """
    weighted = (
        probes * (weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-9))[..., None]
    )
    scores = gallery.reshape(len(gallery), -1) @ weighted.reshape(len(probes), -1).T
    genuine = pairs.same
    different = people[:, None] != people[None, :]
    both = np.concatenate([scores[pairs.first[genuine], pairs.second[genuine]], scores[different]])
    same = np.arange(len(both)) < np.count_nonzero(genuine)
    return float(tar_at_far(both, same, FAR, thin=True))


def measure(
    network: Network, crops: np.ndarray, pairs: Any, training: np.ndarray
) -> dict[str, dict[str, float]]:
    """Every figure under every condition, for crops [B, S, S, 3] and crops of training people."""
    people = pairs.people()
    predict = learn(network, training)
    original = network(crops)
    _, clean, sure = original
    impostors = np.random.default_rng(0).integers(0, len(crops), [20_000, 2])
    impostors = impostors[people[impostors[:, 0]] != people[impostors[:, 1]]].T
    genuine = pairs.first[pairs.same], pairs.second[pairs.same]
    results = {}
    for name in (CLEAN, *CONDITIONS):
        features, groups, confidence = original if name == CLEAN else network(degraded(crops, name))
        logs = np.log(confidence)
        results[name] = {
            "level": float(np.median(confidence.mean(1)) / np.median(sure.mean(1))),
            "spread": float(logs.mean(1).std()),
            "alike": alike(np.einsum("nkd,nkd->nk", clean[impostors[0]], groups[impostors[1]])),
            "alike_genuine": alike(np.einsum("nkd,nkd->nk", clean[genuine[0]], groups[genuine[1]])),
            "equal": tar(clean, groups, np.ones_like(confidence), pairs, people),
            "learned": tar(clean, groups, confidence, pairs, people),
        }
        if name == CLEAN:  # whose quality is 1 by definition
            continue
        quality = np.einsum("nkd,nkd->nk", groups, clean)
        predicted = predict(features)
        results[name] |= {
            "knows_images": rank_correlation(logs.mean(1), quality.mean(1)),
            "knows_groups": rank_correlation(without_mean(logs), without_mean(quality)),
            "known_images": rank_correlation(predicted.mean(1), quality.mean(1)),
            "known_groups": rank_correlation(without_mean(predicted), without_mean(quality)),
            "read_off": told_apart(*(t.reshape(len(t), -1) for t in (clean, groups)), people % 2 == 0),
            "read_off_group": float(
                np.mean(
                    [told_apart(clean[:, k], groups[:, k], people % 2 == 0) for k in range(clean.shape[1])]
                )
            ),
            "quality_spread": float(without_mean(quality).std()),
            "known": tar(clean, groups, np.exp(predicted), pairs, people),
            "oracle": tar(clean, groups, np.maximum(quality, 0) ** 4, pairs, people),
        }
    return results


def without_mean(values: np.ndarray) -> np.ndarray:
    """[N, K] without the level of the group, which says nothing about the image, and that of the image."""
    values = values - values.mean(0)
    return values - values.mean(1, keepdims=True)


def crops_of(shards: str, size: int) -> np.ndarray:
    """All images of a folder of shards, float32 [N, S, S, 3]."""
    return np.concatenate([images for images, _ in read_image_batches(shards, size)])


@with_sentences("why")
def main() -> int:
    """Measures and writes the page anew after each run; 1 where something could not be read."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--train", required=True, help="shards of people that were trained on")
    parser.add_argument("--data", required=True, help="shards of other people, not the tested ones")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    args = parser.parse_args()
    results = {}
    pairs = open_pairs(args.data)
    for run in args.runs:
        network = Network(run)
        crops, training = (crops_of(shards, network.size) for shards in (args.data, args.train))
        results[f"{run.parent.name}/{run.name}"] = measure(network, crops, pairs, training)
        write_text(args.docs / PAGE, "\n".join(lines(results, pairs)))
        print(run, flush=True)
    return 0


def lines(results: dict[str, dict[str, dict[str, float]]], pairs: Any) -> list[str]:
    """The page: a table for each run."""
    text = [
        "# What the confidences know",
        "",
        "Written by `python -m experiments.finetune.why`. No figure here is typed. docs/lab/finetuning.md "
        "discusses the figures.",
        "",
        "    python -m experiments.finetune.why --train runs/finetune/data/train --data "
        "runs/finetune/data/validation runs/finetune/seed1/{urface_ci,urface,urface_pa}",
        "",
        f"{pairs.images.count} images of {len(np.unique(pairs.people()))} people who are neither trained on "
        f"nor tested, {np.count_nonzero(pairs.same)} genuine pairs, all cross-person pairs as impostors.",
        "",
        "- Quality is the cosine between a group of the embedding of a degraded image and the same group of "
        "the clean image.",
        "- TAR is at FAR 1e-3. The second image is degraded, and only its groups are weighted.",
        "- The ridge regression sees what the confidence head sees. It learned the quality of training "
        f"images that were degraded {COPIES} times each at random.",
        "- Told from clean is the balanced accuracy of a linear classifier that learned on half of these "
        "people and is asked about the other half (chance: 0.5).",
        "",
    ]
    for run, each in results.items():
        rows = [
            [title, *(f"{each[name][key]:.3f}" if key in each[name] else "" for name in (CLEAN, *CONDITIONS))]
            for key, title in FIGURES.items()
        ]
        columns = [run, CLEAN, *(name.replace(":", " ") for name in CONDITIONS)]
        text += [*table(columns, rows), ""]
    return text


if __name__ == "__main__":
    sys.exit(main())
