"""`urfr bench head`: real points of a few identities, the bytes on each replica, and what is left out."""

import json
import sys

import forked
import pytest

from urfr_tf.bench import head
from urfr_tf.bench.head_point import measure_point
from urfr_tf.bench.peers import run_program


def point(classes, replicas, **settings):
    job = {"classes": classes, "batch": 8, "groups": 2, "dim": 4, "replicas": replicas, "rounds": 1}
    return forked.value(measure_point, {**job, "head": settings})


def test_a_replica_of_r_holds_one_rth_of_the_head():
    """1,000 classes x 8 numbers x 4 bytes, kernel and momentum: 64,000 bytes; over 4 replicas a 4th.

    The bytes are those of the variables that lie on each device.
    """
    assert point(1000, 1)["head_bytes"] == [64_000]
    assert point(1000, 4, sharded=True, sample_count=40)["head_bytes"] == [16_000] * 4


@pytest.mark.process
def test_the_form_of_the_interface():
    result = head.measure_points((1000,), ["sampled_rate"], 2, limit=2**40)
    assert set(result["seconds"]) == {"sampled_rate_1e3"}
    spread = result["seconds"]["sampled_rate_1e3"]
    assert 0 < spread["min"] <= spread["median"] <= spread["max"]
    # K d = 512 numbers of 4 bytes, twice.
    assert result["head_bytes"]["sampled_rate_1e3"] == [1000 * 512 * 4 * 2]
    assert result["peak_bytes"]["sampled_rate_1e3"] > 1000 * 512 * 4 * 2
    assert result["ratios"] == result["skipped"] == {}


def test_a_point_that_does_not_fit_is_left_out_with_its_reason():
    # Ten times the classes of a point of 200 MiB need 2,000 MiB.
    reason = head.explain_too_large(100_000, [(10_000, 200 * 2**20)], 2**30)
    assert reason == "needs about 2.0 GiB, and 1.0 GiB are there for it"
    assert head.explain_too_large(100_000, [(10_000, 200 * 2**20)], 2**31) is None
    # 200 MiB at 1e4 and 1,100 at 1e5 are 0.01 MiB a class: 10,100 MiB at 1e6, where proportion would say
    # 11,000.
    two = [(10_000, 200 * 2**20), (100_000, 1100 * 2**20)]
    assert head.explain_too_large(1_000_000, two, 10_099 * 2**20) is not None
    assert head.explain_too_large(1_000_000, two, 10_101 * 2**20) is None
    # Nothing was measured before: kernel and momentum alone.
    assert head.explain_too_large(1000, [], 1000 * 512 * 8 - 1) is not None
    assert head.explain_too_large(1000, [], 1000 * 512 * 8) is None
    result = head.measure_points((1000,), ["dense"], 1, limit=1000)
    assert set(result["skipped"]) == {"dense_1e3"}
    assert result["seconds"] == result["ratios"] == {}


def test_names_and_ratios():
    assert [head.format_count(c) for c in (10_000, 4_000_000, 12_345)] == ["1e4", "4e6", "12345"]
    points = {"sampled_1e4": {"seconds": [1.0, 2.0, 9.0]}, "sampled_1e6": {"seconds": [3.0, 3.0, 5.0]}}
    # Medians 2 and 3; 4e6 was not measured, so the largest that fits counts.
    assert head.compute_ratios(points, ["sampled"], (10_000, 1_000_000, 4_000_000)) == {
        "sampled_1e6_over_1e4": 1.5
    }


@pytest.mark.process
def test_a_point_that_dies_ends_its_kind_and_not_the_run(monkeypatch):
    def die_at_20(command, problem):
        job = json.loads(command[-1])
        if job["head"] == head.KINDS["dense"][1] and job["classes"] == 20:
            command = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
            return run_program(command, problem)
        return json.dumps({"seconds": [1.0], "peak_bytes": 1, "head_bytes": 1})

    monkeypatch.setattr(head, "run_program", die_at_20)
    result = head.measure_points((10, 20, 30), ["dense", "sampled"], 1)
    assert set(result["seconds"]) == {"dense_1e1", "sampled_1e1", "sampled_2e1", "sampled_3e1"}
    assert result["skipped"] == {
        "dense_2e1": "the point dense_2e1 failed: it was ended by SIGKILL, which is what the system does "
        "where memory is out",
        "dense_3e1": "not tried, because dense_2e1 failed",
    }
