"""Labeled Faces in the Wild, view 2: a folder with `lfw/NAME/NAME_0001.jpg` and `pairs.txt`.

The images may have been aligned elsewhere: any suffix will do, so long as the names are LFW's. They may
also be a tar archive `lfw.tar` next to the pairs.
"""

import os

from urfr_tf.data.sources import lfw
from urfr_tf.data.tree import Ignored
from urfr_tf.errors import UrfrError
from urfr_tf.protocols.pairs import Everyone, list_items, read_listed_pairs
from urfr_tf.protocols.protocol import Pairs


def open_lfw(data: str, pairs_file: str | None = None) -> Pairs:
    """The 6,000 pairs of view 2 in their ten folds.

    Args:
        data: the folder; or the images' folder or archive, when `pairs_file` is given.
        pairs_file: instead of `pairs.txt` in the folder.

    Raises:
        UrfrError: no images or no pairs there, or a bad pairs file.
    """
    listing = pairs_file or os.path.join(data, "pairs.txt")
    if not os.path.isfile(listing):
        raise UrfrError(f"expected LFW's pairs.txt in {data} (or --pairs FILE), but {listing} is not there")
    places = [data, os.path.join(data, "lfw.tar")] if not os.path.isdir(os.path.join(data, "lfw")) else [data]
    place = places[-1] if os.path.isfile(places[-1]) else places[0]
    ignored = Ignored()
    images, identity, keys = list_items(lfw.items(place, Everyone(), ignored), place, ignored)
    return read_listed_pairs("lfw", images, identity, keys, listing)
