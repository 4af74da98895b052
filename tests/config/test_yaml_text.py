"""YAML as configurations hold it: lines of keys, keys that are set twice, names that are not UTF-8."""

import pytest
import yaml

from urfr_tf.config.load_config import load_config, to_yaml
from urfr_tf.config.yaml_text import parse_yaml
from urfr_tf.errors import UrfrError

RATE = "optimizer: {learning_rate: {type: constant, constant: {learning_rate: 0.1}}}\n"


def test_the_lines_of_keys():
    text = "a: 1\nb:\n  c: [1,\n      2]\n  d: {e: 3}\n"
    assert parse_yaml(text) == (
        {"a": 1, "b": {"c": [1, 2], "d": {"e": 3}}},
        {"a": 1, "b": 2, "b.c": 3, "b.d": 5, "b.d.e": 5},
    )
    assert parse_yaml("") == (None, {})
    assert parse_yaml("- 1") == ([1], {})


@pytest.mark.parametrize("text", ["seed: 1\nname: x\nseed: 2\n", "loss: {cls: 1}\nloss: {adv: 2}\n"])
def test_a_key_that_is_set_twice(tmp_path, text):
    (tmp_path / "x.yaml").write_text(RATE + text)
    with pytest.raises(UrfrError, match=r"in \S+x\.yaml.* is set twice, in the lines \d and \d"):
        load_config(tmp_path / "x.yaml")


def test_aliases_and_merges():
    tree, lines = parse_yaml("a: &a {x: 1}\nb: *a\nc:\n  <<: *a\n  x: 2\n")
    assert tree == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 2}}
    assert lines["b"] == 2 and lines["c.x"] == 5
    # Nested aliases that would unfold to 9 ** 9 keys are refused: an error might print them all.
    levels = ["a0: &a0 {x: 1}"] + [
        f"a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(9))}}}" for i in range(1, 10)
    ]
    with pytest.raises(yaml.YAMLError, match="aliases stand for more than"):
        parse_yaml("\n".join(levels))


def test_names_that_are_not_utf8(tmp_path):
    """As a raw byte in a file or an option, and escaped, as `to_yaml` writes it."""
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    (tmp_path / "x.yaml").write_bytes(RATE.encode() + b"data: {train: caf\xe9}\n")
    config = load_config(tmp_path / "x.yaml", [f"data.validation=/v/{name}"])
    assert (config.data.train, config.data.validation) == (name, f"/v/{name}")
    (tmp_path / "y.yaml").write_bytes(to_yaml(config).encode("ascii"))
    assert load_config(tmp_path / "y.yaml").as_dict() == config.as_dict()
    with pytest.raises(yaml.YAMLError):
        parse_yaml("a: \x00")


@pytest.mark.parametrize(
    ("text", "overrides", "origin"),
    [
        (
            "data:\n  batch_size: 8\n",
            ["data.train=2024"],
            r"data\.train in --set data\.train=2024 expects str",
        ),
        (
            "data:\n  batch_size: 8\n",
            ["data={train: 2024}"],
            r"data\.train in --set data=\{train: 2024\} exp",
        ),
        ("data:\n  train: 2024\n", ["data.batch_size=4"], r"data\.train in line 3 of \S+x\.yaml expects str"),
        ("base: scratch\ndata: {trian: a}\n", [], r"unknown key data\.trian in line 3 of \S+x\.yaml"),
        ("base: scratch\nmodel: {groups: 7}\n", [], r"\(line \d+ of preset scratch, line 3 of \S+x\.yaml\)"),
        ("base: scratch\n", ["model.groups=7"], r"but got \d+ and 7 \(--set model\.groups=7\)"),
        ("base: [scratch]\n", [], r"base in \S+x\.yaml is a text"),
        ("seed: 1\n", ["data.train=/set #2"], r"--set data\.train=/set #2 as '/set'; put it in quotes"),
        ("seed: 1\n", ["data.train=[a"], r"--set data\.train=\[a, but it does not parse"),
    ],
)
def test_an_error_names_where_the_value_was_set(tmp_path, text, overrides, origin):
    (tmp_path / "x.yaml").write_text(RATE + text)
    with pytest.raises(UrfrError, match=origin):
        load_config(tmp_path / "x.yaml", overrides)
