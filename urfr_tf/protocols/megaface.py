"""MegaFace challenge 1: FaceScrub probes against one mate each and up to a million distractors.

    devkit/templatelists/facescrub_features_list.json           {"path": [...], "id": [...]}
    devkit/templatelists/megaface_features_list.json_SIZE_1     {"path": [...]}; the largest SIZE is taken
    facescrub_images/, megaface_images/                         what `path` is relative to

How it is measured is in urfr_tf/evaluation/distractors.py. (Kemelmacher-Shlizerman et al., CVPR 2016.)
"""

import os
import re
from collections.abc import Iterator

import numpy as np

from urfr_tf.data.names import normal_form
from urfr_tf.data.sources.item import Item
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json
from urfr_tf.protocols.protocol import Distractors, Facts, Images

_LIST = re.compile(r"megaface_features_list\.json_([0-9]+)_1")


def open_megaface(data: str) -> Distractors:
    """Reads the lists.

    Raises:
        UrfrError: a list is missing or mangled, nobody has two images, a path leads out of its folder.
    """
    folders = [os.path.join(data, "devkit", "templatelists"), os.path.join(data, "templatelists")]
    folder = next((folder for folder in folders if os.path.isdir(folder)), None)
    if folder is None:
        raise UrfrError(f"expected MegaFace's devkit/templatelists in {data}, but it is not there")
    sizes = [int(match[1]) for name in os.listdir(folder) if (match := _LIST.fullmatch(name))]
    if not sizes:
        raise UrfrError(
            f"expected megaface_features_list.json_1000000_1 or a smaller one in {folder}, but found none"
        )
    probes = read_json(os.path.join(folder, "facescrub_features_list.json"))
    others = read_json(os.path.join(folder, f"megaface_features_list.json_{max(sizes)}_1"))
    paths = _read_paths(probes, folder, "facescrub_images")
    identity = probes.get("id")
    if not isinstance(identity, list) or len(identity) != len(paths):
        raise UrfrError(f'expected an "id" for each path in facescrub_features_list.json of {folder}')
    counts = np.unique(np.array(identity, str), return_counts=True)[1]
    if counts.max(initial=0) < 2:
        raise UrfrError(f"expected a person with two images in facescrub_features_list.json of {folder}")
    names = paths + _read_paths(others, folder, "megaface_images")

    def stream() -> Iterator[Item]:
        return (Item("", name, file=os.path.join(data, name)) for name in names)

    facts: Facts = {"distractors": len(names) - len(paths)}
    people = np.array([normal_form(str(name)) for name in identity])
    return Distractors("megaface", Images(len(names), stream), people, facts)


def _read_paths(content: object, folder: str, below: str) -> list[str]:
    paths = content.get("path") if isinstance(content, dict) else None
    if not isinstance(paths, list) or not paths or not all(isinstance(path, str) for path in paths):
        raise UrfrError(f'expected a list "path" of the images of {below} in {folder}, but got another form')
    for path in paths:
        if os.path.isabs(path) or ".." in path.split("/") or "\0" in path:
            raise UrfrError(f"expected images below {below}, but the lists of {folder} name {path!r}")
    return [f"{below}/{path}" for path in paths]
