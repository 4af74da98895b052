"""The verification protocol that training runs at the end of an epoch, on people it does not see."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from urfr_tf import heads
from urfr_tf.data.pipeline import evaluation_dataset
from urfr_tf.errors import UrfrError
from urfr_tf.metrics import tar_at_far, ten_fold_accuracy

_BATCH = 64
_MOST_PAIRS = 100_000


def labelled_images(shards: str, crop_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of a folder of shards: images float32 [B, S, S, 3], labels int64 [B]."""
    for batch in evaluation_dataset(shards, batch_size=_BATCH, crop_size=crop_size):
        yield batch[heads.IMAGE].numpy(), batch[heads.LABEL].numpy()


def verification_measure(shards: str, crop_size: int) -> Callable[[Callable[..., Any]], dict[str, float]]:
    """Verification on a folder of shards: cosine scores of generated pairs.

    Returns:
        A function of `embed` (images -> {embedding: [B, D]}) that gives `accuracy` (ten folds, as many
        impostor as genuine pairs) and `tar@far=1e-1`, 1e-2, 1e-3 where enough impostor pairs exist.
    """

    def measure(embed: Callable[..., Any]) -> dict[str, float]:
        outputs, labels = [], []
        for images, of_batch in labelled_images(shards, crop_size):
            outputs.append(embed(images))
            labels.append(of_batch)
        embedding = np.concatenate([output[heads.EMBEDDING] for output in outputs])
        first, second, same = generated_pairs(np.concatenate(labels), _MOST_PAIRS)
        scores = np.sum(embedding[first] * embedding[second], axis=-1)
        genuine = int(same.sum())
        balanced = np.concatenate([np.flatnonzero(same), np.flatnonzero(~same)[:genuine]])
        # Both kinds dealt out over ten folds in turn.
        folds = np.concatenate([np.arange(genuine) % 10, np.arange(len(balanced) - genuine) % 10])
        values = {"accuracy": ten_fold_accuracy(scores[balanced], same[balanced], folds).accuracy}
        for far in (1e-1, 1e-2, 1e-3):
            if (len(same) - genuine) * far >= 10:
                values[f"tar@far={far:.0e}".replace("e-0", "e-")] = float(tar_at_far(scores, same, far))
        return values

    return measure


def generated_pairs(labels: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Genuine and impostor pairs i < j of labelled images, at most `most` of each kind, seeded.

    Returns:
        (first, second, same): int64, int64, bool, each [pairs]; genuine pairs first, impostors in a
        random order.

    Raises:
        UrfrError: no person has two images, or there is one person only.
    """
    random = np.random.default_rng(0)
    order = np.argsort(labels, kind="stable")
    people = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    genuine = [(a, b) for person in people for i, a in enumerate(person) for b in person[i + 1 :]]
    if not genuine or len(people) < 2:
        raise UrfrError("expected two people and a person with two images to validate on, but there are none")
    if len(genuine) > most:
        genuine = [genuine[i] for i in random.choice(len(genuine), most, replace=False)]
    count = len(labels)
    if count * (count - 1) // 2 <= 2 * most:
        impostors = np.stack(np.triu_indices(count, 1), axis=1)
    else:
        drawn = random.integers(0, count, [3 * most, 2])
        impostors = np.unique(np.sort(drawn[drawn[:, 0] != drawn[:, 1]], axis=1), axis=0)
    impostors = impostors[labels[impostors[:, 0]] != labels[impostors[:, 1]]]
    impostors = random.permutation(impostors)[:most]
    pairs = np.concatenate([np.array(genuine), impostors])
    same = np.arange(len(pairs)) < len(genuine)
    return pairs[:, 0], pairs[:, 1], same
