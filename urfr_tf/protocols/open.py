"""A protocol by its name."""

from urfr_tf.errors import UrfrError
from urfr_tf.protocols.protocol import Pairs, Templates

_TAKES_PAIRS = ("pairs", "lfw", "synthetic")


def open_protocol(name: str, data: str, pairs_file: str | None = None, seed: int = 0) -> Pairs | Templates:
    """Reads a protocol's lists; images are not touched yet.

    Args:
        name: as in `urfr evaluate --protocol`.
        data: the set in its published layout; for `pairs` and `synthetic` a folder per identity or shards.
        pairs_file: pairs over `data`, where the protocol takes them.
        seed: of generated pairs.

    Raises:
        UrfrError: nothing there, another layout, bad lists.
    """
    if pairs_file is not None and name not in _TAKES_PAIRS:
        raise UrfrError(
            f"--pairs is for the protocols {', '.join(_TAKES_PAIRS)}; {name} has pairs of its own"
        )
    if name in ("pairs", "synthetic"):
        from urfr_tf.protocols.pairs import open_pairs

        return open_pairs(data, pairs_file, seed)
    if name == "lfw":
        from urfr_tf.protocols.lfw import open_lfw

        return open_lfw(data, pairs_file)
    raise UrfrError(f"expected a protocol that is known, but got {name}")
