"""A protocol by its name."""

from urfr_tf.errors import UrfrError
from urfr_tf.protocols.bin import open_bin
from urfr_tf.protocols.cfp import open_cfp
from urfr_tf.protocols.ijba import open_ijba
from urfr_tf.protocols.ijbbc import open_ijbbc
from urfr_tf.protocols.ijbs import open_ijbs
from urfr_tf.protocols.lfw import open_lfw
from urfr_tf.protocols.megaface import open_megaface
from urfr_tf.protocols.pairs import PER_PERSON, open_pairs
from urfr_tf.protocols.protocol import Distractors, PairLists, Pairs, Templates
from urfr_tf.protocols.tinyface import open_tinyface

_TAKES_PAIRS = ("pairs", "lfw", "synthetic")


def open_protocol(
    name: str, data: str, pairs_file: str | None = None, seed: int = 0, per_person: int = PER_PERSON
) -> Pairs | PairLists | Templates | Distractors:
    """Reads a protocol's lists; images are not touched yet.

    Args:
        name: as in `urfr evaluate --protocol`.
        data: the set in its published layout; for `pairs` and `synthetic` a folder per identity or shards.
        pairs_file: pairs over `data`, where the protocol takes them.
        seed: of generated pairs.
        per_person: genuine pairs that a person gives at most where pairs are generated; 0: all.

    Raises:
        UrfrError: nothing there, another layout, bad lists.
    """
    if pairs_file is not None and name not in _TAKES_PAIRS:
        raise UrfrError(
            f"--pairs is for the protocols {', '.join(_TAKES_PAIRS)}; {name} has pairs of its own"
        )
    if name in ("pairs", "synthetic"):
        return open_pairs(data, pairs_file, seed, per_person)
    if name == "lfw":
        return open_lfw(data, pairs_file)
    if name == "cfp":
        return open_cfp(data)
    if name == "bin":
        return open_bin(data)
    if name == "ijba":
        return open_ijba(data)
    if name in ("ijbb", "ijbc"):
        return open_ijbbc(name, data)
    if name == "ijbs":
        return open_ijbs(data)
    if name == "tinyface":
        return open_tinyface(data)
    if name == "megaface":
        return open_megaface(data)
    raise UrfrError(f"expected a protocol that is known, but got {name}")
