"""What a program of ours tells TensorFlow before it imports it."""

import os
import sys

import pytest

from urfr_tf.keras2 import KERAS_2_IS_TF_KERAS
from urfr_tf.system.quiet import quiet_libraries


@pytest.mark.parametrize("imported", [True, False])
def test_keras_3_is_left_out_of_our_programs_only(monkeypatch, imported):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "")  # so that it is put back as it was
    monkeypatch.delenv("TF_USE_LEGACY_KERAS")
    if not imported:
        monkeypatch.delitem(sys.modules, "tensorflow")
    quiet_libraries()
    expected = "1" if KERAS_2_IS_TF_KERAS and not imported else None
    assert os.environ.get("TF_USE_LEGACY_KERAS") == expected


def test_what_the_user_has_said_stays(monkeypatch):
    said = {"TF_USE_LEGACY_KERAS": "0", "TF_CPP_MIN_LOG_LEVEL": "0", "TF_ENABLE_ONEDNN_OPTS": "0"}
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "tensorflow")
    quiet_libraries()
    assert {name: os.environ[name] for name in said} == said
