"""`experiments/step_against_torch.py`: its arithmetic, with two programs that print known seconds."""

import importlib.util
import sys

import pytest
from paths import ROOT

PATH = ROOT / "experiments" / "step_against_torch.py"
spec = importlib.util.spec_from_file_location("step_against_torch", PATH)
against = importlib.util.module_from_spec(spec)
spec.loader.exec_module(against)

pytestmark = pytest.mark.process


def program(seconds, processor):
    """Prints the same for training and inference, whatever it is told."""
    said = {
        "seconds": dict.fromkeys(against.PHASES, seconds),
        "processor_seconds": dict.fromkeys(against.PHASES, processor),
    }
    return [sys.executable, "-c", f"import json; print(json.dumps({said!r}))"]


def test_ratios_are_of_medians_and_above_one_where_we_are_faster():
    """8 images: ours in 1, 2 and 4 s are 8, 4 and 2 a second; PyTorch in 8 s is 1. Processor: 4 against 2 a
    second.
    """
    programs = {"ours": program([1.0, 2.0, 4.0], [2.0]), "torch": program([8.0], [4.0])}
    found = against.compare(programs, {"batch": 8}, turns=2)
    clock = found["images_per_second"]
    assert clock["ours"]["train"] == [2.0, 4.0, 8.0]
    assert clock["ours_over_torch"] == {"train": 4.0, "inference": 4.0}
    assert found["images_per_processor_second"]["ours_over_torch"]["inference"] == 2.0


def test_a_program_that_fails_ends_the_run():
    with pytest.raises(SystemExit, match="torch failed"):
        against.compare({"torch": [sys.executable, "-c", "raise SystemExit(3)"]}, {"batch": 8}, turns=1)
