"""Presets and bases: every preset loads, a base is merged key by key, and what cannot be one is refused."""

import json

import pytest
from paths import ROOT

from urfr_tf.cli import main
from urfr_tf.config.load_config import load_config
from urfr_tf.config.presets import FOLDER, list_presets, merge, preset_names, read_layers
from urfr_tf.errors import UrfrError

NAMES = preset_names()


def write(folder, **texts):
    """Writes NAME.yaml for each text and returns the folder."""
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_the_presets_are_those_of_the_repository():
    files = (ROOT / "configs").rglob("*.yaml")
    assert sorted(str(file.relative_to(ROOT / "configs")) for file in files) == [f"{n}.yaml" for n in NAMES]
    assert {"scratch", "paper/table1_3_0", "small/start", "finetune/urface", "attributes/celeba"} <= set(
        NAMES
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_loads_under_the_name_that_runs_know(name):
    """Folders came later than the names, which run folders and their commands refer to."""
    prefixes = {"paper": "", "small": "small_", "finetune": "finetune_", "demo": "demo_"}
    prefixes |= {"attributes": "attributes_"}
    folder, _, last = name.rpartition("/")
    expected = {"attributes/celeba": "attributes"}.get(name, f"{prefixes.get(folder, '')}{last}")
    assert load_config(name).name == expected


@pytest.mark.parametrize("preset", list_presets(), ids=lambda preset: preset.name)
def test_every_preset_says_what_it_is_in_one_line(preset):
    assert preset.description.endswith((".", ")."))
    assert len(preset.description) <= 97  # the line of the file is at most 110 characters long
    assert "\n" not in preset.description


def test_no_two_presets_have_one_name():
    names = [load_config(name).name for name in NAMES]
    assert len(names) == len(set(names))


def test_a_preset_that_differs_in_one_group_is_short():
    """What `base` is for: table 1's row 3 + 0 is row 0 + 0 with decorrelation."""
    (layer,) = read_layers("paper/table1_3_0")[-1:]
    assert layer.tree == {"name": "table1_3_0", "decorrelation": {"enabled": True}}
    base = load_config("paper/table1_0_0").as_dict()
    expected = {**base, "name": "table1_3_0", "decorrelation": {**base["decorrelation"], "enabled": True}}
    assert load_config("paper/table1_3_0").as_dict() == expected


def test_merging_goes_key_by_key_and_leaves_both_alone():
    under = {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2], "c": 3}
    over = {"a": {"y": {"z": 4}, "w": 5}, "b": [6], "d": {"e": 7}}
    assert merge(under, over) == {"a": {"x": 1, "y": {"z": 4}, "w": 5}, "b": [6], "c": 3, "d": {"e": 7}}
    assert under == {"a": {"x": 1, "y": {"z": 2}}, "b": [1, 2], "c": 3}
    assert over == {"a": {"y": {"z": 4}, "w": 5}, "b": [6], "d": {"e": 7}}


def test_a_file_with_a_preset_as_its_base(tmp_path):
    write(tmp_path, mine="description: Mine.\nbase: small/start\nname: mine\nloss: {margin: 3}\n")
    mine, start = load_config(tmp_path / "mine.yaml"), load_config("small/start")
    assert (mine.name, mine.loss.margin) == ("mine", 3)
    assert mine.loss.margin_warmup_steps == start.loss.margin_warmup_steps == 600
    assert mine.model.as_dict() == start.model.as_dict()


def test_a_base_is_relative_to_the_file_that_names_it(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    write(tmp_path, root="base: scratch\nseed: 5\n")
    write(tmp_path / "a", leaf="base: ../root.yaml\nname: leaf\n")
    monkeypatch.chdir("/")
    config = load_config(tmp_path / "a" / "leaf.yaml")
    assert (config.name, config.seed, config.model.backbone) == ("leaf", 5, "ir10")


def test_an_absolute_base(tmp_path):
    (tmp_path / "a").mkdir()
    write(tmp_path, root="base: scratch\nseed: 5\n")
    write(tmp_path / "a", leaf=f"base: {tmp_path / 'root.yaml'}\n")
    assert load_config(tmp_path / "a" / "leaf.yaml").seed == 5


def test_an_override_wins_over_file_and_base(tmp_path):
    write(tmp_path, mine="base: scratch\nseed: 5\n")
    assert load_config(tmp_path / "mine.yaml", ["seed=6"]).seed == 6


def test_a_name_that_is_a_file_and_a_preset_is_the_file(tmp_path, monkeypatch):
    (tmp_path / "scratch").write_text("base: small/start\nname: file\n")
    monkeypatch.chdir(tmp_path)
    assert load_config("scratch").name == "file"
    (tmp_path / "scratch").unlink()
    (tmp_path / "scratch").mkdir()
    assert load_config("scratch").name == "scratch"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"a": "base: a.yaml\n"}, r"not its own base, but got \S+a\.yaml -> \S+a\.yaml$"),
        (
            {"a": "base: b.yaml\n", "b": "base: c.yaml\n", "c": "base: ../x/b.yaml\n"},
            r"not its own base, but got \S+a\.yaml -> \S+b\.yaml -> \S+c\.yaml -> \S+b\.yaml$",
        ),
        (
            {"a": "base: paper/table9\n"},
            r"could not read the base paper/table9 of \S+a\.yaml: .* close matches",
        ),
        (
            {"a": "base: none.yaml\n"},
            r"could not read the base none\.yaml of \S+a\.yaml: there is no such file",
        ),
        ({"a": "base: ../\n"}, r"could not read the base \.\./ of \S+a\.yaml: it is a folder"),
        ({"a": "base: [scratch]\n"}, r"base in \S+a\.yaml is a text, but got \['scratch'\]"),
        ({"a": "description: {x: 1}\n"}, r"description in \S+a\.yaml is a text, but got"),
        ({"a": "base: b.yaml\n", "b": "- 1\n"}, r"a mapping of keys at the top of \S+b\.yaml, but got list"),
        ({"a": "base: b.yaml\n", "b": "x: [\n"}, r"expected YAML in \S+b\.yaml, but it does not parse"),
        ({"a": "base: b.yaml\n", "b": "loss: {x: 1}\n"}, r"unknown key loss\.x in line 1 of \S+b\.yaml"),
        (
            {"a": "base: b.yaml\n", "b": "base: scratch\nloss: 3\n"},
            r"loss in line 2 of \S+b\.yaml is a group of keys",
        ),
        (
            {"a": "base: b.yaml\n", "b": "base: scratch\nmodel: {groups: 7}\n"},
            r"\(line \d+ of preset scratch, line 2 of \S+b\.yaml\)$",
        ),
    ],
)
def test_bases_that_are_refused(tmp_path, texts, message):
    (tmp_path / "x").mkdir()
    with pytest.raises(UrfrError, match=message):
        load_config(write(tmp_path / "x", **texts) / "a.yaml")


def test_a_base_that_may_not_be_read(tmp_path):
    """A symbolic link to itself stands for every reason of the system."""
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    write(tmp_path, a="base: loop.yaml\n")
    with pytest.raises(UrfrError, match=r"could not read the base loop\.yaml"):
        load_config(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("paper/table_1_3_0", "close matches: .*paper/table1_3_0"),
        ("configs/small_start.yaml", "close matches: .*small/start"),
        ("small_start", "close matches: .*small/start"),
        ("xyzzy", "no preset of this name; `urfr configs` lists the presets"),
        ("../configs/scratch.yaml/x", "could not read the configuration"),
    ],
)
def test_an_unknown_name(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UrfrError, match=message):
        load_config(name)


def test_a_resolved_configuration_has_no_base(tmp_path):
    """config.yaml of a run says everything itself; a base in it would make it depend on another file."""
    from urfr_tf.config.load_config import read_run_config, to_yaml

    text = to_yaml(load_config("paper/table2_all"))
    assert "base" not in text and "description" not in text
    (tmp_path / "config.yaml").write_text(text + "base: scratch\n")
    with pytest.raises(UrfrError, match="unknown key base in"):
        read_run_config(tmp_path)


def test_the_command_lists_every_preset_in_one_line(capsys):
    assert main(["configs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == NAMES
    assert "  From scratch. 30 of the 40 people of ORL" in next(
        line for line in lines if line.startswith("scratch")
    )


def test_the_command_lists_the_presets_as_json(capsys):
    assert main(["configs", "--json"]) == 0
    presets = json.loads(capsys.readouterr().out)["presets"]
    assert [preset["name"] for preset in presets] == NAMES
    assert all(set(preset) == {"name", "description", "path"} for preset in presets)
    assert all((FOLDER / f"{preset['name']}.yaml").is_file() for preset in presets)
