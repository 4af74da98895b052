"""TinyFace: native low-resolution probes against a gallery of the same people and of distractors.

    Testing_Set/Probe/ID_n.jpg, Testing_Set/Gallery_Match/ID_n.jpg, Testing_Set/Gallery_Distractor/*.jpg

Every image is a template of its own. Reported are ranks 1, 5, 20 and the mean average precision.
(Cheng, Zhu and Gong, "Low-resolution face recognition", ACCV 2018.)
"""

import os

import numpy as np

from urfr_tf.data.sources.item import natural_key
from urfr_tf.errors import UrfrError
from urfr_tf.protocols.protocol import Identification, Split, Templates
from urfr_tf.protocols.template_tables import Builder

_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")


def open_tinyface(data: str) -> Templates:
    """The test set, in the folder itself or in its Testing_Set.

    Raises:
        UrfrError: a folder is missing or empty, or a name does not begin with an identity.
    """
    inner = os.path.join(data, "Testing_Set")
    root = inner if os.path.isdir(inner) else data
    builder = Builder("tinyface", root)
    parts = {}
    for part in ("Probe", "Gallery_Match", "Gallery_Distractor"):
        folder = os.path.join(root, part)
        if not os.path.isdir(folder):
            raise UrfrError(f"expected TinyFace's {part} in {root}, but it is not there")
        names = sorted((n for n in os.listdir(folder) if n.lower().endswith(_SUFFIXES)), key=natural_key)
        if not names:
            raise UrfrError(f"expected images in {folder}, but there is none")
        parts[part] = np.array([_template(builder, part, name) for name in names])
    gallery = np.concatenate([parts["Gallery_Match"], parts["Gallery_Distractor"]])
    builder.facts["distractors"] = len(parts["Gallery_Distractor"])
    task = Identification("", parts["Probe"], (gallery,), ranks=(1, 5, 20), fpirs=(), precision=True)
    return builder.build((Split(None, (task,)),))


def _template(builder: Builder, part: str, name: str) -> int:
    identity, mark, _ = name.partition("_")
    if part == "Gallery_Distractor":
        identity = ""
    elif not (mark and identity.isdigit()):
        raise UrfrError(f"expected names ID_n.jpg in {builder.root}/{part}, but got {name!r}")
    number = builder.template(f"{part}/{name}", identity)
    builder.add(number, f"{part}/{name}", "")
    return number
