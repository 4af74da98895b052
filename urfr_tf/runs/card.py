"""What a model says about itself: the facts that somebody needs who has only its files.

`urfr export` puts the card into the SavedModel (`assets/urfr.json`) and into the TFLite file (metadata
`urfr.json`). The card of a run folder is made from its configuration.
"""

from typing import TypedDict, cast

from urfr_tf.errors import UrfrError
from urfr_tf.runs.thresholds import Threshold, check_threshold

CARD_NAME = "urfr.json"
LARGEST_SIZE = 65535
"""Of the sides of crops, the groups and the dimensions that a card may name."""
CARD_IN_SAVED_MODEL = f"assets/{CARD_NAME}"


class Alignment(TypedDict):
    """How the crops of the training were aligned."""

    size: int
    """Side of the crops in pixels."""
    template: str | None
    """Name of the template, or None where faces were not aligned."""
    points: list[list[float]] | None
    """Where the five points of the template lie in such a crop, [x, y] each."""


class ModelCard(TypedDict, total=False):
    """The card; a foreign TFLite file has none of the keys, a run folder those before `licence`."""

    format: str
    name: str
    input_size: int
    """S, the side of the network's input in pixels."""
    groups: int
    """K."""
    dim: int
    """D."""
    pixels: str
    """What the pixels must be, in words."""
    alignment: Alignment
    threshold: Threshold | None
    """Of the run; see `urfr_tf.runs.thresholds` for the models that it counts for."""
    config_sha256: str

    licence: str
    weights_sha256: str
    """Fingerprint of the run that was exported."""
    versions: dict[str, str]
    quantize: str
    frozen: bool
    served: str
    """Fingerprint of the SavedModel behind a server, "" where it is not known."""


def card_of_json(content: object, origin: object) -> ModelCard:
    """Accepts parsed JSON as a card.

    Args:
        content: what the parser gave.
        origin: where it was read, for the message.

    Raises:
        UrfrError: `content` is not an object, or a value that the program uses is of another type.
    """
    if not isinstance(content, dict):
        raise UrfrError(f"expected an object in {origin}, but got {type(content).__name__}")
    alignment, threshold = content.get("alignment"), content.get("threshold")
    sizes = {name: content[name] for name in ("input_size", "groups", "dim") if name in content}
    if alignment is not None:
        if not isinstance(alignment, dict) or not isinstance(alignment.get("template"), str | None):
            raise UrfrError(f"expected an object with size and template as alignment in {origin}")
        sizes["alignment.size"] = alignment.get("size")
    for name, size in sizes.items():
        if type(size) is not int or not 1 <= size <= LARGEST_SIZE:
            raise UrfrError(
                f"expected a whole number from 1 to {LARGEST_SIZE} as {name} in {origin}, but got "
                f"{size!r:.50}"
            )
    if threshold is not None:
        check_threshold(threshold, origin)
    return cast(ModelCard, content)
