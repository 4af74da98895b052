"""One gallery -> another, for instance from a file into PostgreSQL."""

import os

from urfr_tf.errors import UrfrError
from urfr_tf.gallery.gallery import Gallery


def copy_gallery(gallery: Gallery, target: str | os.PathLike[str]) -> tuple[int, str]:
    """Copies a gallery with all that is in it, calibrations included.

    The target is made, or it is what an interrupted copy of the same gallery left. A target with people who
    are not in the gallery is refused, because their calibrations would not be those of the copy.

    Args:
        gallery: what is copied.
        target: path or `postgresql://` address of the new one.

    Returns:
        The images that were copied, and the address of the target without a password.

    Raises:
        UrfrError: the target is another gallery, or cannot be written.
    """
    with Gallery.open_copy(target, gallery.facts) as other:
        extra = {person.name for person in other.people()} - {person.name for person in gallery.people()}
        if extra:
            raise UrfrError(
                f"expected an empty gallery at {other.where}, but it has {len(extra)} people who are not in "
                f"{gallery.where}, for instance {min(extra)!r}"
            )
        return gallery.copy_to(other), other.where
