"""Inference for many images: the same values, faster, and slower to begin."""

import contextlib
import contextvars
from collections.abc import Iterator

_in_bulk = contextvars.ContextVar("in_bulk", default=False)


@contextlib.contextmanager
def in_bulk() -> Iterator[None]:
    """What is traced inside has the fused batch norm and PReLU of training in inference, too.

    XLA compiles them anew for each new size of a batch, which takes about a second for a whole network, and no
    converter to TFLite knows them.
    """
    token = _in_bulk.set(True)
    try:
        yield
    finally:
        _in_bulk.reset(token)


def is_bulk() -> bool:
    """Whether this is inside of `in_bulk`."""
    return _in_bulk.get()
