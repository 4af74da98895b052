"""What the card of a run says."""

import json

import pytest

import urfr_tf
from urfr_tf.errors import UrfrError


def test_card_says_how_the_crops_must_be(run, tmp_path):
    for name in ("config.yaml", "inference.weights.h5"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    assert urfr_tf.load(tmp_path).aligned_size == 32
    (tmp_path / "run.json").write_text(json.dumps({"image_size": 36, "template": "arcface112"}))
    (tmp_path / "threshold.json").write_text(json.dumps({"score": "cosine", "threshold": 0.25}))
    model = urfr_tf.load(tmp_path)
    assert model.aligned_size == 36
    assert model.threshold == {"score": "cosine", "threshold": 0.25}
    # The first point of the template, x = 38.2946 of 112, in a crop of 36: (38.2946 + .5) 36/112 - .5
    assert model.card["alignment"]["points"][0][0] == pytest.approx(11.9697, abs=1e-4)
    (tmp_path / "threshold.json").write_text('{"score": "cosine"}')
    with pytest.raises(UrfrError, match=r"threshold\.json"):
        urfr_tf.load(tmp_path)
