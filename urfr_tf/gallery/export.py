"""Everything that is stored of one person, as files that anybody can read."""

import os
from pathlib import Path

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.files import disk_error, replacing, write_bytes, write_json
from urfr_tf.gallery.gallery import Gallery


def export_person(gallery: Gallery, name: str, out: str | os.PathLike[str]) -> int:
    """Writes what a gallery holds of a person.

    `images.json` lists the images with their SHA-256, label and alignment, `embeddings.npz` has `embedding`
    float16 [N, D] and `confidence` float32 [N, K] in the same order, and a thumbnail that was kept is
    `SHA256.jpg`.

    Args:
        gallery: the gallery.
        name: the person.
        out: a folder; made where it is missing, and empty otherwise.

    Returns:
        How many images there are.

    Raises:
        UrfrError: the person is not in the gallery, the folder holds something, or it cannot be written.
    """
    images, folder = gallery.export(name), Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UrfrError(f"expected an empty folder to export {name!r} into, but {folder} holds something")
    except OSError as error:
        raise disk_error(error, folder) from error
    listed = []
    for image in images:
        thumbnail = f"{image.sha256.hex()}.jpg" if image.thumbnail else None
        if thumbnail:
            write_bytes(folder / thumbnail, image.thumbnail)
        listed.append(
            {
                "sha256": image.sha256.hex(),
                "label": image.label,
                "align": image.align,
                "thumbnail": thumbnail,
            }
        )
    with replacing(folder / "embeddings.npz") as tmp_path, open(tmp_path, "wb") as file:
        np.savez(
            file,
            embedding=np.stack([image.embedding for image in images]),
            confidence=np.stack([image.confidence for image in images]),
        )
    facts = gallery.facts
    about = {"person": name, "gallery": gallery.where, "model": facts["model"]}
    write_json(folder / "images.json", {**about, "fingerprint": facts["fingerprint"], "images": listed})
    return len(images)
