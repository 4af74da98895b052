"""`runtime.precision: auto`: what each kind of machine gets, and that a run keeps what it began with."""

import pytest

from urfr_tf.config.load_config import from_dict, to_yaml
from urfr_tf.errors import UrfrError
from urfr_tf.training import precision

RATE = {"learning_rate": {"type": "constant", "constant": {"learning_rate": 0.01}}}


def configured(name):
    return from_dict({"optimizer": RATE, "runtime": {"precision": name}}, "test")


@pytest.mark.parametrize(
    ("capabilities", "flags", "expected"),
    [
        ([], {"avx2", "avx512_bf16", "amx_bf16"}, ("mixed_bfloat16", "the processor has amx_bf16")),
        ([], {"avx512_bf16"}, ("mixed_bfloat16", "the processor has avx512_bf16")),
        ([], {"avx512f"}, ("float32", "the processor has none of amx_bf16, avx512_bf16")),
        ([(8, 6)], {"amx_bf16"}, ("mixed_bfloat16", "the GPU has compute capability 8.6")),
        ([(9, 0), (7, 5)], set(), ("mixed_float16", "the GPU has compute capability 7.5")),
        ([(6, 1)], {"amx_bf16"}, ("float32", "the GPU has compute capability 6.1")),
    ],
)
def test_what_a_machine_gets(capabilities, flags, expected):
    assert precision.choose_precision(capabilities, frozenset(flags)) == expected


def test_a_new_run_takes_the_machines_and_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "compute_capabilities", list)
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset({"amx_bf16"}))
    chosen, reason = precision.resolve_precision(configured("auto"), tmp_path)
    assert (chosen.runtime.precision, reason) == ("mixed_bfloat16", "the processor has amx_bf16")
    # The folder of a run that began elsewhere, in float32.
    (tmp_path / "config.yaml").write_text(to_yaml(configured("float32")))
    chosen, reason = precision.resolve_precision(configured("auto"), tmp_path)
    assert (chosen.runtime.precision, reason) == ("float32", "as this run began")


def test_a_named_precision_stays():
    config = configured("mixed_float16")
    assert precision.resolve_precision(config) == (config, "as configured")
    with pytest.raises(UrfrError, match=r"runtime\.precision is one of auto, float32"):
        configured("float8")
