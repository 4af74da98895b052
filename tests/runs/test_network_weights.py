"""The weights of a run: written as a whole, and a sentence where they cannot be read."""

import h5py
import numpy as np
import pytest
from small_run import configuration, sentence

from urfr_tf.config.load_config import to_yaml
from urfr_tf.errors import UrfrError
from urfr_tf.keras2 import keras
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


@pytest.fixture(scope="module")
def small():
    return keras.Sequential([keras.layers.Dense(3, name="dense", input_shape=(4,))])


KERNEL = "layers/dense/vars/0"


def external(file, other):
    """The kernel's values are those of another file, from byte 16 on."""
    file.create_dataset(KERNEL, (4, 3), "f4", external=[(str(other), 16, 48)])


def virtual(file, other):
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource(str(other), "data", (4, 3))
    file.create_virtual_dataset(KERNEL, layout)


def virtual_in_itself(file, other):
    file["data"] = np.zeros((4, 3), "f4")
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource(".", "data", (4, 3))
    file.create_virtual_dataset(KERNEL, layout)


def external_link(file, other):
    file[KERNEL] = h5py.ExternalLink(str(other), "data")


def linked_group(file, other):
    del file["layers/dense/vars"]
    file["layers/dense/vars"] = h5py.ExternalLink(str(other), "/")


def soft_link(file, other):
    file[KERNEL] = h5py.SoftLink("/layers/dense/vars/1")


def second_name(file, other):
    file[KERNEL] = file["layers/dense/vars/1"]


def own_parent(file, other):
    file["layers/dense/vars/0"] = file["/"]


def compressed(file, other):
    file.create_dataset(KERNEL, data=np.zeros((4, 3), "f4"), compression="gzip")


def never_written(file, other):
    """A terabyte in a file of some kilobytes."""
    file.create_dataset(KERNEL, (1 << 20, 1 << 18), "f4")


def of_text(file, other):
    file[KERNEL] = "text"


def of_references(file, other):
    file.create_dataset(KERNEL, (4, 3), h5py.ref_dtype)


def named_type(file, other):
    file[KERNEL] = np.dtype("f4")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (external, "dense/vars/0 keeps its values in another file"),
        (virtual, "dense/vars/0 is a virtual data set"),
        (virtual_in_itself, "dense/vars/0 is a virtual data set"),
        (external_link, "dense/vars/0 is a link"),
        (linked_group, "dense/vars is a link"),
        (soft_link, "dense/vars/0 is a link"),
        (second_name, "is a second name of something else"),
        (own_parent, "is a second name of something else"),
        (compressed, "dense/vars/0 is compressed"),
        (never_written, "is larger than what is left of the file"),
        (of_text, "has no numbers"),
        (of_references, "has no numbers"),
        (named_type, "is no array"),
    ],
)
def test_weights_that_are_not_in_the_file(tmp_path, small, change, words):
    """What Keras 2.15 would follow: to other files of this machine (as in CVE-2026-1669), or without end."""
    other = tmp_path / "private.h5"
    with h5py.File(other, "w") as file:
        file["data"] = np.ones((4, 3), "f4")
    save_network_weights(small, tmp_path)
    with h5py.File(tmp_path / WEIGHTS, "r+") as file:
        del file[KERNEL]
        change(file, other)
    with pytest.raises(UrfrError, match=words) as error:
        load_network_weights(small, tmp_path)
    assert "\n" not in str(error.value) and str(tmp_path / WEIGHTS) in str(error.value)
    np.testing.assert_array_equal(small.get_weights()[1], np.zeros(3))
