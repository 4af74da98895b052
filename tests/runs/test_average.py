"""`urfr mix`: the weights are the average, by number; what cannot be averaged is a sentence."""

import numpy as np
import pytest

from urfr_tf.cli import main
from urfr_tf.config.load_config import from_dict, read_run_config, to_yaml
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json
from urfr_tf.models.inference_graph import build_inference
from urfr_tf.runs.average import average_with_start
from urfr_tf.runs.load_model import load_model
from urfr_tf.runs.load_run import load_network
from urfr_tf.runs.network_weights import WEIGHTS


@pytest.fixture(scope="module")
def tuned(tiny_run, tmp_path_factory):
    """A run that started from tiny_run, each of its weights twice as large."""
    folder = tmp_path_factory.mktemp("tuned")
    config = from_dict({**read_run_config(tiny_run).as_dict(), "initial_weights": str(tiny_run)}, "test")
    (folder / "config.yaml").write_text(to_yaml(config))
    (folder / "run.json").write_text((tiny_run / "run.json").read_text())
    network = build_inference(config)
    network.load_weights(str(tiny_run / WEIGHTS))
    network.set_weights([2 * weight for weight in network.get_weights()])
    network.save_weights(str(folder / WEIGHTS))
    return folder


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_weights_are_the_average(tiny_run, tuned, tmp_path, share, capsys):
    assert main(["mix", "--run", str(tuned), "--share", str(share), "--out", str(tmp_path / "out")]) == 0
    assert f"{share:g} of {tiny_run}" in capsys.readouterr().out
    start, end = (load_network(run)[0].get_weights() for run in (tiny_run, tmp_path / "out"))
    for before, after in zip(start, end, strict=True):
        # (1 - share) 2 w + share w
        np.testing.assert_allclose(after, (2 - share) * before, rtol=1e-6, atol=1e-7)


def test_it_is_a_run_like_any_other(tuned, tmp_path):
    out = tmp_path / "out"
    average_with_start(tuned, 0.5, out)
    facts = read_json(out / "run.json")
    assert facts["mixed"] == {
        "run": str(tuned),
        "start": read_run_config(tuned).initial_weights,
        "share": 0.5,
    }
    assert facts["image_size"] == read_json(tuned / "run.json")["image_size"]
    size = read_run_config(out).model.input_size
    assert np.isfinite(load_model(out)(np.zeros([2, size, size, 3], np.float32))["embedding"]).all()
    average_with_start(tuned, 0.1, out)  # the same run again
    assert read_json(out / "run.json")["mixed"]["share"] == 0.1


def test_what_cannot_be_mixed(tiny_run, tuned, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UrfrError, match="share from 0 to 1, but got 1.5"):
        average_with_start(tuned, 1.5, out)
    with pytest.raises(UrfrError, match="started from drawn weights"):
        average_with_start(tiny_run, 0.5, out)
    assert not out.exists()
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UrfrError, match="is not empty and holds no mixture"):
        average_with_start(tuned, 0.5, out)
    assert [path.name for path in out.iterdir()] == ["notes.txt"]
