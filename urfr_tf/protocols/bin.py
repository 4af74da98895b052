"""Pickled sets of pairs (lfw.bin, cfp_fp.bin, agedb_30.bin, calfw.bin, cplfw.bin), read safely."""

import os

import numpy as np

from urfr_tf.data.sources.bin_pairs import read_bin
from urfr_tf.data.sources.item import Item
from urfr_tf.protocols.pairs import FOLDS
from urfr_tf.protocols.protocol import Images, Pairs


def open_bin(data: str) -> Pairs:
    """Images 2 i and 2 i + 1 are pair i; ten folds are ten runs of the list, as these files are made.

    Raises:
        UrfrError: the file cannot be read, or holds anything but a list of bytes and a list of booleans.
    """
    content, answers = read_bin(data)
    same = np.array(answers, bool)
    first = 2 * np.arange(len(same))
    return Pairs(
        os.path.basename(data),
        Images(
            len(content),
            lambda: (Item("", f"{n:06d}", content=image) for n, image in enumerate(content)),
            aligned=True,
        ),
        first,
        first + 1,
        same,
        np.arange(len(same)) * FOLDS // len(same),
        None,
        np.ones(len(same), bool),
        {"set": os.path.splitext(os.path.basename(data))[0]},
    )
