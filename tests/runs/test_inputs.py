"""Every path of a configuration is looked at before a training begins, and has a digest."""

import shutil

import numpy as np
import pytest
from made_up import numbered_shards, people_folder

from urfr_tf.config.load_config import from_dict
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.stream.soft_labels import write_soft_labels
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json, write_json
from urfr_tf.runs.inputs import check_inputs


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Shards of 34 px: 103 images of 7 people, and others of one person, and of one image each."""
    folder = tmp_path_factory.mktemp("data")
    for name, images, people, side in (
        ("good", 30, 5, 34), ("alone", 6, 1, 34), ("single", 6, 6, 34), ("small", 30, 5, 20),
    ):  # fmt: skip
        (folder / name).mkdir()
        numbered_shards(folder / name, images, people, side, shards=2)
    people_folder(folder / "photographs", people=2, images=2)
    (folder / "file").touch()
    return folder


def configured(data, **changes):
    tree = {
        "data": {"train": str(data / "good"), "batch_size": 10},
        "model": {"backbone": "ir18", "width": 0.125, "input_size": 32, "embedding_dim": 16, "groups": 4},
        "optimizer": {"learning_rate": {"type": "constant", "constant": {"learning_rate": 0.1}}},
    }
    for key, value in changes.items():
        group, _, name = key.partition("__")
        if name:
            tree.setdefault(group, {})[name] = value
        else:
            tree[group] = value
    return from_dict(tree, "test")


@pytest.mark.parametrize("key", ["train", "validation"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("photographs", "manifest.json, but .*photographs has none; urfr prepare"),
        ("missing", "missing is no folder"),
        ("file", "file is no folder"),
        ("small", "expected a crop of 1 to 20 pixels"),
        ("alone", "expected at least two"),
    ],
)
def test_a_path_that_leads_elsewhere(data, key, name, words):
    with pytest.raises(UrfrError, match=f"^data.{key}: .*{words}"):
        check_inputs(configured(data, **{f"data__{key}": str(data / name)}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data__train": ""}, "data.train: .* not set"),
        ({"data__validation": "single"}, "data.validation: .* one image of each person"),
        ({"data__batch_size": 40}, "data.train: expected at least a batch of 40"),
        (
            {"data__batch_size": 40, "train__steps_per_epoch": 3},
            "data.train: expected at least a batch of 40",
        ),
        ({"data__soft_labels": ["age"]}, "data.train: expected the soft labels age"),
        ({"data__turned": True, "augment__pose": 0.1}, "data.train: expected turned faces"),
        ({"initial_weights": "photographs"}, "initial_weights: expected a run folder with config.yaml"),
    ],
)
def test_what_else_a_training_needs(data, changes, words):
    changes = {
        key: str(data / value) if value in ("single", "photographs") else value
        for key, value in changes.items()
    }
    with pytest.raises(UrfrError, match=f"^{words}"):
        check_inputs(configured(data, **changes))


def test_digests_follow_the_content_and_not_the_place(data, tmp_path):
    copy = shutil.copytree(data / "good", tmp_path / "copy")
    manifest = read_json(copy / "manifest.json")
    write_json(copy / "manifest.json", {**manifest, "versions": {}, "source": {"path": "elsewhere"}})
    for folder in (data / "good", copy):
        write_soft_labels(load_manifest(folder), "age", np.full(30, 0.25))
    first = check_inputs(configured(data, data__soft_labels=["age"])).digests
    moved = configured(data, data__train=str(copy), data__soft_labels=["age"])
    assert check_inputs(moved).digests == first
    assert sorted(first) == ["data.train", "data.train/soft_labels/age"]
    write_soft_labels(load_manifest(copy), "age", np.full(30, 0.5))
    now = check_inputs(moved).digests
    assert [key for key in first if now[key] != first[key]] == ["data.train/soft_labels/age"]
    lines = (copy / "classes.tsv").read_text().replace("\tp0\t", "\tsomebody\t")
    (copy / "classes.tsv").write_text(lines)
    assert check_inputs(moved).digests["data.train"] != first["data.train"]
