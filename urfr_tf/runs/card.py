"""What a model says about itself: the facts that somebody needs who has only its files.

`urfr export` puts the card into the SavedModel (`assets/urfr.json`) and the TFLite file (metadata
`urfr.json`); a run folder's card is made from its configuration.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from urfr_tf.config.load_config import to_yaml
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json

FORMAT = "urfr-model/1"
THRESHOLD = "threshold.json"
SCORES = ("cosine", "likelihood")


def run_card(run: Path, config: Experiment) -> dict[str, Any]:
    """The card of a run folder.

    Returns:
        name, input_size (S), groups (K), dim (D), pixels, alignment (size of the aligned crop in
        pixels, template, its five points), threshold (of `threshold.json`, or None), config_sha256.

    Raises:
        UrfrError: `threshold.json` is there but mangled.
    """
    return {
        "format": FORMAT,
        "name": config.name,
        "input_size": config.model.input_size,
        "groups": config.model.groups,
        "dim": config.model.embedding_dim,
        "pixels": "RGB, 0..255, as decoded: the model normalises; larger images are cropped about their centre",
        "alignment": _alignment(run, config),
        "threshold": read_threshold(run / THRESHOLD) if (run / THRESHOLD).is_file() else None,
        "config_sha256": hashlib.sha256(to_yaml(config).encode("utf-8")).hexdigest(),
    }


def read_threshold(path: Path) -> dict[str, Any]:
    """A calibrated threshold: {"score": "cosine" or "likelihood", "threshold": number, ...}.

    The two keys are those of `metrics.json`; a pair is the same person where score >= threshold.

    Raises:
        UrfrError: another score, or no finite number.
    """
    content = read_json(path)
    try:
        good = content["score"] in SCORES and math.isfinite(content["threshold"])
    except (KeyError, TypeError):
        good = False
    if not good:
        raise UrfrError(
            f'expected {{"score": "cosine" or "likelihood", "threshold": number}} in {path}, '
            f"but got {json.dumps(content)[:100]}"
        )
    return content


def _alignment(run: Path, config: Experiment) -> dict[str, Any]:
    """Size and template of the crops that the network was trained on."""
    for path in (run / "run.json", Path(config.data.train or run) / "manifest.json"):
        if not path.is_file():
            continue
        facts = read_json(path)
        if isinstance(facts, dict) and isinstance(facts.get("image_size"), int):
            template = facts.get("template")
            return {
                "size": facts["image_size"],
                "template": template,
                "points": _points(facts["image_size"]) if template else None,
            }
    return {"size": config.model.input_size, "template": None, "points": None}


def _points(size: int) -> list[list[float]]:
    from urfr_tf.faces.template import five_points

    return [[round(float(x), 4), round(float(y), 4)] for x, y in five_points(size)]
