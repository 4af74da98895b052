"""The contact sheet of `urfr inspect`: crops and their augmented versions, images per person below."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from urfr_tf.augment.choose import VARIATIONS, augment
from urfr_tf.data.inspection import Sample
from urfr_tf.faces.template import five_points
from urfr_tf.visualize.canvas import PALETTE, create_figure, encode_png, strip_axes, style_axes

TRAINING_PROBABILITY = 0.3


def augment_sample(sample: Sample, seed: int) -> list[tuple[str, NDArray[np.float32], list[str]]]:
    """Every image under each variation alone, and as in training.

    Points that are unknown are taken to be the template's, as the pipeline does.

    Returns:
        (title, images [N, S, S, 3] in 0..255, labels): labels name the variations applied to each image.
    """
    size = sample.images.shape[1]
    template = five_points(size).reshape(1, 10).astype(np.float32)
    points = np.where(sample.points.min(axis=1, keepdims=True) < 0, template, sample.points)
    columns = []
    for index, name in enumerate([*VARIATIONS, "as in training"]):
        chances = {name: 1.0} if name in VARIATIONS else dict.fromkeys(VARIATIONS[:3], TRAINING_PROBABILITY)
        names = [variation for variation in VARIATIONS if variation in chances]
        images, vectors = augment(sample.images, np.array([seed, index]), chances, points)
        labels = [
            ", ".join(n for n, on in zip(names, vector, strict=True) if on) or "none"
            for vector in vectors.numpy()
        ]
        columns.append((name, images.numpy(), labels))
    return columns


def draw_shard_sheet(
    sample: Sample, columns: list[tuple[str, NDArray[np.float32], list[str]]], numbers: Mapping[str, Any]
) -> bytes:
    """The sheet as PNG.

    Args:
        sample: N images.
        columns: of `augment_sample`.
        numbers: of `data.inspection.summary`.
    """
    rows, wide = len(sample.images), len(columns) + 1
    figure = create_figure(1.25 * wide, 1.35 * rows + 2.9)
    # An empty row, so that the last labels and the histogram's title do not touch.
    grid = figure.add_gridspec(rows + 2, wide, height_ratios=[1.35] * rows + [0.2, 2.4])
    for row in range(rows):
        tiles = [("original", sample.images[row], sample.identities[row])]
        tiles += [(title, images[row], labels[row]) for title, images, labels in columns]
        for column, (title, image, label) in enumerate(tiles):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(np.clip(np.rint(image), 0, 255).astype(np.uint8))
            strip_axes(axes)
            axes.set_xlabel(label[:22], fontsize=6, parse_math=False)
            if row == 0:
                axes.set_title(title, fontsize=8)
    axes = figure.add_subplot(grid[rows + 1, :])
    bins = numbers["images_per_person"]["histogram"]
    names = [str(b["from"]) if b["from"] == b["to"] else f"{b['from']}-{b['to']}" for b in bins]
    bars = axes.bar(names, [b["people"] for b in bins], color=PALETTE[0])
    axes.bar_label(bars, fontsize=7, padding=2)  # the tail's bars are too low to be read off
    axes.margins(y=0.12)
    room = max(0.0, 8 - len(bins)) / 2  # a single bar is not to fill the sheet
    axes.set_xlim(-0.6 - room, len(bins) - 0.4 + room)
    title = f"{numbers['images']} images of {numbers['people']} people"
    style_axes(axes, title, "images of a person", "people")
    with warnings.catch_warnings():
        # Names in scripts that the font does not have are drawn as boxes, without a warning for each.
        warnings.filterwarnings("ignore", message="Glyph")
        return encode_png(figure)
