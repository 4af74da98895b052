"""The number of cores, from files as Linux writes them in containers."""

import os

import pytest

from urfr_tf.system import cores


@pytest.fixture(autouse=True)
def machine_with_eight_cores(tmp_path, monkeypatch):
    """Eight cores and no control group; returns the folder where a test may write the files of one."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "_CGROUP_V2", tmp_path / "cpu.max")
    monkeypatch.setattr(cores, "_CGROUP_V1", (tmp_path / "quota", tmp_path / "period"))
    return tmp_path


def test_without_a_quota_all_cores_of_the_process_count():
    assert cores.count_cores() == 8


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("max 100000\n", 8),  # no limit
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),  # 1.5 cores, rounded up
        ("10000 100000\n", 1),  # a tenth of a core
        ("1600000 100000\n", 8),  # a quota of 16 on 8 cores
        ("", 8),
        ("what is this\n", 8),
    ],
)
def test_quota_of_version_2(tmp_path, content, expected):
    (tmp_path / "cpu.max").write_text(content)
    assert cores.count_cores() == expected


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("-1\n", 8), ("300000\n", 3), ("250000\n", 3), ("1000\n", 1)],  # -1: no limit
)
def test_quota_of_version_1(tmp_path, quota, expected):
    (tmp_path / "quota").write_text(quota)
    (tmp_path / "period").write_text("100000\n")
    assert cores.count_cores() == expected


def test_a_system_without_affinity_counts_the_machine(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert cores.count_cores() == 4
