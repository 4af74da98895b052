"""What a program of ours tells TensorFlow before it imports it."""

import os
import subprocess
import sys

import pytest

from urfr_tf.keras2 import KERAS_2_IS_TF_KERAS
from urfr_tf.system.quiet import leave_out_keras_3, quiet_libraries

IN_A_PROGRAM = """
import os, sys
from urfr_tf.cli import main
sys.argv[1:] = {typed}
main({given})
print(os.environ.get("TF_USE_LEGACY_KERAS"))
"""


@pytest.mark.parametrize("imported", [True, False])
def test_keras_3_is_left_out_only_before_tensorflow_is_imported(monkeypatch, imported):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "")  # so that it is put back as it was
    monkeypatch.delenv("TF_USE_LEGACY_KERAS")
    if not imported:
        monkeypatch.delitem(sys.modules, "tensorflow")
    leave_out_keras_3()
    expected = "1" if KERAS_2_IS_TF_KERAS and not imported else None
    assert os.environ.get("TF_USE_LEGACY_KERAS") == expected


@pytest.mark.parametrize("own", [True, False])
def test_a_command_inside_another_program_leaves_its_keras_alone(own):
    arguments = ["configs"]
    program = IN_A_PROGRAM.format(typed=arguments if own else [], given="" if own else arguments)
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == str("1" if KERAS_2_IS_TF_KERAS and own else None)


def test_what_the_user_has_said_stays(monkeypatch):
    said = {"TF_USE_LEGACY_KERAS": "0", "TF_CPP_MIN_LOG_LEVEL": "0", "TF_ENABLE_ONEDNN_OPTS": "0"}
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "tensorflow")
    quiet_libraries()
    leave_out_keras_3()
    assert {name: os.environ[name] for name in said} == said
