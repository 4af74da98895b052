"""The card of a run folder, made from its configuration."""

import hashlib
from pathlib import Path

from urfr_tf.config.load_config import to_yaml
from urfr_tf.config.tree import Experiment
from urfr_tf.faces.template import five_points
from urfr_tf.files import read_json
from urfr_tf.runs.card import LARGEST_SIZE, Alignment, ModelCard
from urfr_tf.runs.thresholds import read_run_threshold

_FORMAT = "urfr-model/1"
_PIXELS = "RGB, 0..255, as decoded: the model normalises; larger images are cropped about their centre"


def make_run_card(run: Path, config: Experiment) -> ModelCard:
    """Describes a run folder.

    Args:
        run: the run folder.
        config: its configuration.

    Returns:
        The keys of `ModelCard` up to `config_sha256`.

    Raises:
        UrfrError: `threshold.json` is there but mangled.
    """
    return {
        "format": _FORMAT,
        "name": config.name,
        "input_size": config.model.input_size,
        "groups": config.model.groups,
        "dim": config.model.embedding_dim,
        "pixels": _PIXELS,
        "alignment": _find_alignment(run, config),
        "threshold": read_run_threshold(run),
        "config_sha256": hashlib.sha256(to_yaml(config).encode("utf-8")).hexdigest(),
    }


def _find_alignment(run: Path, config: Experiment) -> Alignment:
    """Reads size and template of the training's crops from the run or from its shards."""
    for path in (run / "run.json", Path(config.data.train or run) / "manifest.json"):
        if not path.is_file():
            continue
        facts = read_json(path)
        size = facts.get("image_size") if isinstance(facts, dict) else None
        if isinstance(size, int) and 1 <= size <= LARGEST_SIZE:
            template = facts.get("template")
            return {
                "size": size,
                "template": str(template) if template else None,
                "points": _list_points(size) if template else None,
            }
    return {"size": config.model.input_size, "template": None, "points": None}


def _list_points(size: int) -> list[list[float]]:
    return [[round(float(x), 4), round(float(y), 4)] for x, y in five_points(size)]
