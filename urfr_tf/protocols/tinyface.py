"""TinyFace: native low-resolution probes against a gallery of the same people and of distractors.

    Testing_Set/Probe/ID_n.jpg, Testing_Set/Gallery_Match/ID_n.jpg, Testing_Set/Gallery_Distractor/*.jpg

Every image is a template of its own. Reported are ranks 1, 5, 20 and the mean average precision.
(Cheng, Zhu and Gong, "Low-resolution face recognition", ACCV 2018.)
"""

import os

import numpy as np

from urfr_tf.data.names import natural_key
from urfr_tf.data.sources.item import Item, why_no_image
from urfr_tf.data.tree import scan
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
    templates = {}
    for folder_name in ("Probe", "Gallery_Match", "Gallery_Distractor"):
        folder = os.path.join(root, folder_name)
        if not os.path.isdir(folder):
            raise UrfrError(f"expected TinyFace's {folder_name} in {root}, but it is not there")
        names = _list_images(builder, folder)
        if not names:
            raise UrfrError(f"expected images in {folder}, but there is none{builder.ignored.remark()}")
        templates[folder_name] = np.array([_add_template(builder, folder_name, name) for name in names])
    gallery = np.concatenate([templates["Gallery_Match"], templates["Gallery_Distractor"]])
    builder.facts["distractors"] = len(templates["Gallery_Distractor"])
    task = Identification("", templates["Probe"], (gallery,), ranks=(1, 5, 20), fpirs=(), precision=True)
    return builder.build((Split(None, (task,)),))


def _list_images(builder: Builder, folder: str) -> list[str]:
    """The names of the images of a folder, in natural order: by suffix as published, else by content."""
    names = []
    for entry in scan(folder, builder.ignored):
        named = entry.name.lower().endswith(_SUFFIXES)
        problem = None if named else why_no_image(Item("", entry.name, file=entry.path))
        if problem is None:
            names.append(entry.name)
        else:
            builder.refused[f"{os.path.basename(folder)}/{entry.name}"] = str(problem)
    return sorted(names, key=natural_key)


def _add_template(builder: Builder, folder_name: str, name: str) -> int:
    identity, mark, _ = name.partition("_")
    if folder_name == "Gallery_Distractor":
        identity = ""
    elif not (mark and identity.isdigit()):
        raise UrfrError(f"expected names ID_n.jpg in {builder.root}/{folder_name}, but got {name!r}")
    number = builder.template(f"{folder_name}/{name}", identity)
    builder.add(number, f"{folder_name}/{name}", "")
    return number
