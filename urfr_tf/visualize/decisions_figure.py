"""What two models say of the same pairs of faces, one of them degraded in several ways."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.canvas import PALETTE, create_figure, strip_axes
from urfr_tf.visualize.face_tiles import check_faces

RIGHT, WRONG = PALETTE[2], PALETTE[1]
_SIDE = 1.15


@dataclass(frozen=True)
class Comparisons:
    """One face, compared with another that is degraded in C ways.

    Attributes:
        face: uint8 [S, S, 3], RGB.
        others: uint8 [C, S, S, 3], RGB.
        one_person: whether both faces are of one person.
        scores: of each model, [M, C].
        accepted: whether each model says that they are of one person, bool [M, C].
    """

    face: NDArray[np.uint8]
    others: NDArray[np.uint8]
    one_person: bool
    scores: NDArray[np.float64]
    accepted: NDArray[np.bool_]


def draw_decisions(rows: Sequence[Comparisons], titles: Sequence[str], models: Sequence[str]) -> Figure:
    """Draws a row for each pair of faces and a column for each degradation.

    Below each face is a line for each model with its score and its decision: green where it is right, orange
    where it is wrong.

    Args:
        rows: at least one.
        titles: of the C columns.
        models: names of the M models.

    Raises:
        UrfrError: no rows, or rows of other numbers of columns or models than there are names.
    """
    if not rows:
        raise UrfrError("expected pairs of faces to draw, but there are none")
    for row in rows:
        shapes = {np.shape(row.scores), np.shape(row.accepted), (len(models), len(row.others))}
        if shapes != {(len(models), len(titles))}:
            raise UrfrError(f"expected scores and decisions [{len(models)}, {len(titles)}], got {shapes}")
    columns = len(titles) + 1
    figure = create_figure(_SIDE * columns + 0.2, (_SIDE + 0.2 * len(models)) * len(rows) + 0.3)
    panels = figure.subplots(len(rows), columns, squeeze=False)
    for axes_of_row, row in zip(panels, rows, strict=True):
        faces = check_faces(np.concatenate([row.face[None], row.others]))
        for axes, face in zip(axes_of_row, faces, strict=True):
            strip_axes(axes)
            axes.imshow(face)
        _write_below(axes_of_row[0], models, ["black"] * len(models), "right")
        for column, axes in enumerate(axes_of_row[1:]):
            texts = [
                f"{score:.2f} {'yes' if accepted else 'no'}"
                for score, accepted in zip(row.scores[:, column], row.accepted[:, column], strict=True)
            ]
            colors = [RIGHT if said == row.one_person else WRONG for said in row.accepted[:, column]]
            _write_below(axes, texts, colors, "center")
        axes_of_row[0].set_ylabel("one person" if row.one_person else "two people", fontsize=9)
    for axes, title in zip(panels[0], ("compared with", *titles), strict=True):
        axes.set_title(title, fontsize=9)
    return figure


def _write_below(axes: Axes, texts: Sequence[str], colors: Sequence[str], side: str) -> None:
    x = {"center": 0.5, "right": 1.0}[side]
    for line, (text, color) in enumerate(zip(texts, colors, strict=True)):
        y = -0.05 - 0.13 * line
        axes.text(x, y, text, transform=axes.transAxes, ha=side, va="top", fontsize=8, color=color)
