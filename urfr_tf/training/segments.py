"""Which calls of `fit` a training consists of, from any step on."""

from typing import NamedTuple


class Segment(NamedTuple):
    """The epochs of one call of `fit`.

    Attributes:
        first_epoch: the first of them, counted from 0.
        end_epoch: the epoch after the last of them.
        steps: the steps of each of them.
    """

    first_epoch: int
    end_epoch: int
    steps: int


def split_into_segments(
    step: int, steps_per_epoch: int, epochs: int, frozen_epochs: int = 0
) -> list[Segment]:
    """Returns the calls of `fit` that are left after `step` steps.

    The rest of a broken epoch comes first. No call goes over the end of the first `frozen_epochs`, because
    the backbone learns from there on.
    """
    epoch, steps_done = divmod(step, steps_per_epoch)
    segments = []
    if steps_done:
        segments.append(Segment(epoch, epoch + 1, steps_per_epoch - steps_done))
        epoch += 1
    for end in sorted({min(frozen_epochs, epochs), epochs}):
        if epoch < end:
            segments.append(Segment(epoch, end, steps_per_epoch))
            epoch = end
    return segments
