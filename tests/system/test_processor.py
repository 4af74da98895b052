"""The processor's name and flags, from /proc/cpuinfo as Linux writes it."""

import pytest

from urfr_tf.system import processor


@pytest.fixture()
def cpuinfo(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "cpuinfo")
    return tmp_path / "cpuinfo"


def test_name_and_flags_are_those_of_the_first_core(cpuinfo):
    cpuinfo.write_text(
        "processor\t: 0\nmodel name\t: Some: CPU\nflags\t\t: fpu amx_bf16\n"
        "\nmodel name\t: x\nflags\t\t: other\n"
    )
    assert processor.processor_flags() == {"fpu", "amx_bf16"}
    assert processor.processor_name() == "Some: CPU"


def test_arm_calls_them_features(cpuinfo):
    cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n")
    assert processor.processor_flags() == {"fp", "asimd", "bf16"}


@pytest.mark.parametrize("content", [None, "", "no colon\n"])
def test_where_the_system_does_not_tell(cpuinfo, content):
    if content is not None:
        cpuinfo.write_text(content)
    assert processor.processor_flags() == frozenset()
    assert processor.processor_name()
