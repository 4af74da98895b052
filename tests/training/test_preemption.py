"""SIGTERM outside and inside of `fit`."""

import os
import signal

import pytest

from urfr_tf.errors import TryAgainError
from urfr_tf.training.preemption import Preemption


def test_between_steps_the_signal_raises_at_once():
    with Preemption() as preemption, pytest.raises(TryAgainError, match=r"told to stop \(SIGTERM\)"):
        os.kill(os.getpid(), signal.SIGTERM)
    assert preemption.requested


def test_while_deferred_the_signal_is_noted_only():
    with Preemption() as preemption:
        preemption.deferred = True
        os.kill(os.getpid(), signal.SIGTERM)
        assert preemption.requested


def test_the_handler_of_before_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with Preemption():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
