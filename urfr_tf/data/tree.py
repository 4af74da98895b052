"""What belongs to a tree of photographs, wherever we look for images: no hidden or system files or folders.

Operating systems, file servers and tools leave files of their own among photographs (thumbnails, trash,
indexes), and so do we while we work (`.NAME.part`, `.part-PID-NAME`, `.prepare`). What a list names by its
path is taken without asking here.
"""

import os
from collections.abc import Callable, Iterator

from urfr_tf.data.names import shown, to_bytes

# Compared without case: Windows writes Thumbs.db and thumbs.db alike.
_SYSTEM = frozenset(
    (
        # Windows
        "thumbs.db",
        "thumbs.db:encryptable",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "$recycle.bin",
        "recycler",
        "system volume information",
        # macOS
        "__macosx",
        "icon\r",
        "network trash folder",
        "temporary items",
        # Linux
        "lost+found",
        # network storage: Synology and QNAP
        "@eadir",
        "@tmp",
        "#recycle",
        "#snapshot",
        "@recycle",
        "@recently-snapshot",
        # Python
        "__pycache__",
    )
)


def belongs(name: str) -> bool:
    """Whether a file or folder of this name may be a person's or an image, and is not hidden or the system's.

    Args:
        name: one component of a path. The root of a tree is never asked: it was chosen by the user.
    """
    return not name.startswith(".") and name.casefold() not in _SYSTEM


def foreign_part(path: str) -> str:
    """Finds the first component of a relative path with slashes that does not belong to the tree, or ""."""
    return next((part for part in path.split("/") if part not in ("", ".") and not belongs(part)), "")


class Ignored:
    """Counts the files and folders that were passed over, and remembers one of them.

    Attributes:
        count: how many there were; a folder counts once, whatever is in it.
        example: the first of their names in the order of characters; empty without any.
    """

    def __init__(self) -> None:
        self.count = 0
        self.example = ""

    def add(self, name: str) -> None:
        """Counts one."""
        self.count += 1
        self.example = min(self.example or name, name)

    def sentence(self) -> str:
        """What the user is told about them; empty where there were none."""
        if not self.count:
            return ""
        what = "1 hidden or system file" if self.count == 1 else f"{self.count} hidden or system files"
        return f"ignored {what}, for instance {shown(to_bytes(self.example))}"

    def remark(self) -> str:
        """The same at the end of an error: what was there, where nothing was found."""
        return f" ({self.sentence()})" if self.count else ""


def scan(folder: str, ignored: Ignored | None = None) -> Iterator[os.DirEntry[str]]:
    """Gives the entries of a folder that belong to the tree, as the file system gives them.

    Raises:
        OSError: the folder cannot be read.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if belongs(entry.name):
                yield entry
            elif ignored is not None:
                ignored.add(entry.name)


def walk(
    root: str, ignored: Ignored | None = None, on_error: Callable[[OSError], None] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walks a tree as `os.walk` does, without what does not belong to it.

    Sort the list of folders in place to choose the order. Without `on_error` a folder that cannot be read is
    left out.
    """
    for folder, folders, files in os.walk(root, onerror=on_error):
        for names in (folders, files):
            for name in names:
                if ignored is not None and not belongs(name):
                    ignored.add(name)
            names[:] = filter(belongs, names)
        yield folder, folders, files
