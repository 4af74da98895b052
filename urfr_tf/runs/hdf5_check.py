"""Looks through an HDF5 file of weights before Keras reads it.

HDF5 lets an array lie in other files: by external storage, by a virtual data set, or behind a link. Keras
2.15 follows all three, so that a run folder from outside could read files of this machine into a network.
What is accepted is what Keras itself writes: groups and plain arrays, each under one name, no larger than the
file.
"""

from pathlib import Path

import h5py

from urfr_tf.errors import UrfrError


def count_plain_arrays(path: Path) -> int:
    """Counts the arrays of an HDF5 file, and makes sure that all of them are in the file itself.

    Returns:
        How many arrays there are.

    Raises:
        UrfrError: a link, an array that lies in other files, is compressed, has no numbers or has a second
            name, or arrays that are larger than the file.
        OSError, RuntimeError, KeyError, ValueError, TypeError: h5py cannot follow the file.
    """
    left = path.stat().st_size
    count = 0
    with h5py.File(path, "r") as file:
        visited = {_address_of(file)}
        waiting: list[h5py.Group] = [file]
        while waiting:
            group = waiting.pop()
            for name in group:
                where = f"{group.name.rstrip('/')}/{name}"
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise _refusal(path, where, "is a link")
                item = group[name]
                if _address_of(item) in visited:
                    raise _refusal(path, where, "is a second name of something else")
                visited.add(_address_of(item))
                if isinstance(item, h5py.Group):
                    waiting.append(item)
                    continue
                if (problem := _find_problem(item)) is not None:
                    raise _refusal(path, where, problem)
                count += 1
                left -= item.nbytes
                if left < 0:
                    raise _refusal(
                        path, where, f"of shape {item.shape} is larger than what is left of the file"
                    )
    return count


def _address_of(item: h5py.Group | h5py.Dataset) -> int:
    address: int = h5py.h5o.get_info(item.id).addr
    return address


def _find_problem(item: object) -> str | None:
    """What keeps an object from being a plain array of numbers, or None."""
    if not isinstance(item, h5py.Dataset):
        return "is no array"
    properties = item.id.get_create_plist()
    if item.is_virtual:
        return "is a virtual data set, which reads other files"
    if properties.get_external_count():
        return "keeps its values in another file"
    if properties.get_nfilters():
        return "is compressed"
    if item.dtype.kind not in "biuf" or item.shape is None:
        return "has no numbers"
    return None


def _refusal(path: Path, where: str, problem: str) -> UrfrError:
    return UrfrError(
        f"expected weights as Keras writes them in {path}, but {where} {problem}; the file was not loaded"
    )
