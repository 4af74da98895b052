"""A run folder is only continued by the same run."""

import json

import pytest
from small_run import configuration

from urfr_tf.config.load_config import from_dict
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json
from urfr_tf.runs.folder import check_run, flatten_tree, open_run, read_inputs, refuse_other_run, write_run
from urfr_tf.runs.inputs import Inputs
from urfr_tf.runs.network_weights import WEIGHTS
from urfr_tf.system.extras import DISTRIBUTIONS


def change(config, **changes):
    tree = config.as_dict()
    for key, value in changes.items():
        room, name = key.split("__")
        tree[room][name] = value
    return from_dict(tree, "test")


def test_the_first_key_that_differs_is_named(tmp_path):
    config = configuration()
    open_run(tmp_path, config, {"classes": 4})
    (tmp_path / WEIGHTS).touch()
    facts = read_json(tmp_path / "run.json")
    assert facts["classes"] == 4 and facts["versions"].keys() >= set(DISTRIBUTIONS) and facts["commit"]
    with pytest.raises(UrfrError, match=r"model\.groups: 4, but 8 was requested"):
        open_run(tmp_path, change(config, model__groups=8), {})
    open_run(tmp_path, change(config, train__epochs=config.train.epochs + 1), {})  # may go on longer


def test_the_same_configuration_leaves_its_file_as_it_is(tmp_path):
    config = configuration()
    open_run(tmp_path, config, {})
    text = (tmp_path / "config.yaml").read_text() + "# a comment\n"
    (tmp_path / "config.yaml").write_text(text)
    open_run(tmp_path, config, {})
    assert (tmp_path / "config.yaml").read_text() == text


def test_a_command_overwrites_its_earlier_result_only(tmp_path):
    refuse_other_run(tmp_path / "new", "imported", "sha256", "a", "import")
    refuse_other_run(tmp_path, "imported", "sha256", "a", "import")  # empty
    (tmp_path / "run.json").write_text(json.dumps({"imported": {"sha256": "a"}}))
    refuse_other_run(tmp_path, "imported", "sha256", "a", "import")
    with pytest.raises(UrfrError, match="is not empty and holds no import of it; choose another --out"):
        refuse_other_run(tmp_path, "imported", "sha256", "b", "import of it")
    with pytest.raises(UrfrError, match="but it is a file"):
        refuse_other_run(tmp_path / "run.json", "imported", "sha256", "a", "import")


def test_nested_keys_become_dotted():
    assert flatten_tree({"a": {"b": (1, 2), "c": {"d": None}}, "e": 3}) == {
        "a.b": [1, 2],
        "a.c.d": None,
        "e": 3,
    }


def test_what_a_start_without_a_step_left_blocks_nothing(tmp_path):
    config = configuration()
    open_run(tmp_path, config, {})
    assert check_run(tmp_path, change(config, model__groups=8)) is None
    (tmp_path / "checkpoints").mkdir()
    assert check_run(tmp_path, change(config, model__groups=8)) is None
    (tmp_path / "checkpoints" / "step-4.index").touch()
    with pytest.raises(UrfrError, match=r"model\.groups: 4, but 8"):
        check_run(tmp_path, change(config, model__groups=8))


@pytest.mark.parametrize("name", ["manifest.json", "saved_model.pb"])
def test_a_folder_of_something_else_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UrfrError, match="expected a folder for a run, but .* holds"):
        check_run(tmp_path, configuration())


def test_a_configuration_of_another_program_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("layers: 3\n")
    with pytest.raises(UrfrError, match="unknown key layers"):
        check_run(tmp_path, configuration())


class Data:
    """As much of a manifest as the check looks at."""

    def __init__(self, classes=4, images=20):
        self.classes, self.images = classes, images


def with_paths(**paths):
    tree = configuration().as_dict()
    tree["initial_weights"] = paths.pop("initial_weights", "")
    tree["loss"]["teacher"] = paths.pop("teacher", 0.0)
    tree["data"].update(paths)
    return from_dict(tree, "test")


def begun(folder, config, facts):
    open_run(folder, config, facts)
    (folder / WEIGHTS).touch()


ALL = {"data.train": "a", "data.train/soft_labels/age": "b", "data.train/turned": "c", "data.validation": "d"}


@pytest.mark.parametrize("key", ALL)
def test_other_data_at_the_same_path(tmp_path, key):
    config = with_paths(train="shards", validation="others")
    begun(tmp_path, config, {"inputs": ALL})
    assert check_run(tmp_path, config, Inputs(Data(), 1, ALL)) is not None
    path = "others" if "validation" in key else "shards"
    with pytest.raises(UrfrError, match=rf"began with other data: expected {key.split('/')[0]}: {path}"):
        check_run(tmp_path, config, Inputs(Data(), 1, {**ALL, key: "z"}))


def test_the_same_data_at_another_path(tmp_path):
    begun(tmp_path, with_paths(train="old", validation="old2"), {"inputs": ALL})
    moved = with_paths(train="new", validation="new2")
    assert check_run(tmp_path, moved, Inputs(Data(), 1, ALL)) is not None
    for key in ("data.train", "data.validation"):
        with pytest.raises(UrfrError, match=rf"holds a run with {key}: old"):
            check_run(tmp_path, moved, Inputs(Data(), 1, {**ALL, key: "z"}))


def test_the_start_counts_as_long_as_it_acts(tmp_path):
    for teacher in (0.0, 1.0):
        config = with_paths(train="shards", initial_weights="start", teacher=teacher)
        folder = tmp_path / str(teacher)
        begun(folder, config, {"inputs": {"initial_weights": "a"}})
        later = Inputs(Data(), 1, {"initial_weights": "b"})
        if teacher:
            with pytest.raises(UrfrError, match="expected initial_weights: start with"):
                check_run(folder, config, later)
        else:
            assert check_run(folder, config, later) is not None
            write_run(folder, config, {"inputs": later.digests})
            assert read_inputs(folder) == {"initial_weights": "a"}  # what it really began with


def test_a_run_of_an_earlier_version_takes_the_digests_when_the_numbers_agree(tmp_path):
    config = with_paths(train="shards")
    begun(tmp_path, config, {"classes": 4, "images": 20})
    for data, words in ((Data(classes=5), "4 classes"), (Data(images=21), "20 images")):
        with pytest.raises(UrfrError, match=f"expected {words} in data.train: shards, but it holds"):
            check_run(tmp_path, config, Inputs(data, 1, ALL))
    assert check_run(tmp_path, config, Inputs(Data(), 1, ALL)) is not None
    write_run(tmp_path, config, {"inputs": ALL})
    with pytest.raises(UrfrError, match="began with other data"):
        check_run(tmp_path, config, Inputs(Data(), 1, {**ALL, "data.train": "z"}))
