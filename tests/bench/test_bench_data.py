"""`urfr bench data` in small: every pipeline is measured, and the ratios are those of its seconds."""

import argparse

import pytest

from urfr_tf.bench import data


@pytest.mark.slow
def test_every_part_is_measured(monkeypatch):
    for name, value in {"_IMAGES": 24, "_BATCH": 8, "_FIRST": 1, "_TIMED": 1}.items():
        monkeypatch.setattr(data, name, value)
    result = data.run(argparse.Namespace(repeat=1))
    names = {"crop_flip", "blur", "occlusion", "pose", "resolution", "all", "pose_in_graph", "all_in_graph"}
    assert set(result["seconds"]) == names | {"decode", "own_decode"}
    # With one round the median of the ratios is the ratio of the two medians.
    decode = result["seconds"]["decode"]["median"]
    for name in names | {"own_decode"}:
        expected = decode / result["seconds"][name]["median"]
        assert result["ratios"][f"{name}_over_decode"] == pytest.approx(expected)
    assert all(value["median"] > 0 for value in result["processor_seconds"].values())
