"""A run folder is only continued by the same run."""

import json

import pytest
from small_run import configuration

from urfr_tf.config.load_config import from_dict
from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json
from urfr_tf.runs.folder import flatten_tree, open_run, refuse_other_run


def change(config, **changes):
    tree = config.as_dict()
    for key, value in changes.items():
        room, name = key.split("__")
        tree[room][name] = value
    return from_dict(tree, "test")


def test_the_first_key_that_differs_is_named(tmp_path):
    config = configuration()
    open_run(tmp_path, config, {"classes": 4})
    facts = read_json(tmp_path / "run.json")
    assert facts["classes"] == 4 and facts["versions"]["keras"] and facts["commit"]
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
