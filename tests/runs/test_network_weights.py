"""The weights of a run: written as a whole, and a sentence where they cannot be read."""

import numpy as np
import pytest
from small_run import configuration, sentence

from urfr_tf.config.load_config import to_yaml
from urfr_tf.errors import UrfrError
from urfr_tf.models.attribute_network import attribute_network
from urfr_tf.models.inference_graph import build_inference
from urfr_tf.runs.network_weights import WEIGHTS, load_network_weights, save_network_weights


def test_what_is_written_is_read(network, tmp_path):
    save_network_weights(network, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [WEIGHTS]
    other = build_inference(configuration())
    load_network_weights(other, tmp_path)
    for got, expected in zip(other.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_run_without_weights(tmp_path):
    (tmp_path / "config.yaml").write_text(to_yaml(configuration()))
    assert "when the first epoch ends" in sentence(tmp_path)


def test_damaged_weights(tmp_path, run):
    (tmp_path / "config.yaml").write_text(to_yaml(configuration()))
    whole = (run / WEIGHTS).read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2]):
        (tmp_path / WEIGHTS).write_bytes(content)
        assert "truncated or damaged" in sentence(tmp_path)


@pytest.mark.parametrize("change", [{"backbone": "ir34"}, {"embedding_dim": 32}])
def test_weights_of_another_network(tmp_path, run, change):
    (tmp_path / "config.yaml").write_text(to_yaml(configuration(**change)))
    (tmp_path / WEIGHTS).write_bytes((run / WEIGHTS).read_bytes())
    message = sentence(tmp_path)
    assert "do not fit" in message or "not of the same model" in message


def test_theta_a_is_read_by_the_same_rules(tmp_path, run):
    with pytest.raises(UrfrError, match=f"expected {WEIGHTS} in {tmp_path}, but there is none"):
        load_network_weights(attribute_network(2, 32), tmp_path)
    with pytest.raises(UrfrError, match="not of the same model"):
        load_network_weights(attribute_network(2, 32), run)
