"""The configuration tree: round trip, overrides, and every refusal with the key's full name."""

import pytest

from urfr_tf.config.load_config import from_dict, load_config, to_yaml
from urfr_tf.errors import UrfrError

RATE = {"optimizer": {"learning_rate": {"type": "constant", "constant": {"learning_rate": 0.1}}}}


@pytest.fixture()
def path(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("name: x\noptimizer: {learning_rate: {type: constant, constant: {learning_rate: 0.1}}}\n")
    return file


def test_resolved_yaml_reads_back_equal(path, tmp_path):
    config = load_config(path, ["loss.margin=8", "augment.pose=0.25", "data.soft_labels=[gender]"])
    (tmp_path / "y.yaml").write_text(to_yaml(config))
    assert load_config(tmp_path / "y.yaml").as_dict() == config.as_dict()
    assert config.loss.margin == 8
    assert config.variations == ("pose", "gender")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss.margn=3", "unknown key loss.margn"),
        ("optimizer.learning_rate.cosine.foo=1", "unknown key optimizer.learning_rate.cosine.foo"),
        ("loss.margin=abc", "loss.margin .* expects float, but got 'abc'"),
        ("model.groups=2.5", "model.groups .* expects int, but got 2.5"),
        ("data.cache=1", "data.cache .* expects bool, but got 1"),
        ("loss.margin=.nan", "loss.margin .* expects float"),
        ("loss=3", "loss .* is a group of keys"),
        ("data.soft_labels=[1]", "data.soft_labels"),
        ("model.backbone=vgg", "model.backbone is one of ir10"),
        ("model.groups=7", "embedding_dim must be a multiple of model.groups, but got 512 and 7"),
        ("augment.blur=1.5", "augment.blur is a probability"),
        ("confidence.initial=500", "minimum <= initial <= maximum"),
        ("optimizer.learning_rate.type=foo", "optimizer.learning_rate.type is one of constant"),
        ("decorrelation.enabled=true", "needs a variation"),
        ("runtime.precision=float64", "runtime.precision is one of"),
        ("no_equals_sign", "--set a.b=value"),
    ],
)
def test_refused_by_full_name(path, override, message):
    with pytest.raises(UrfrError, match=message):
        load_config(path, [override])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["loss.margin=abc"], r"loss\.margin in --set loss\.margin=abc expects float, but got 'abc'"),
        (["loss.margn=3"], r"unknown key loss\.margn in --set loss\.margn=3"),
        (["loss.margin.x=3"], r"loss\.margin in --set loss\.margin\.x=3 expects float"),
        (["data.parts=2"], r"data\.parts in --set data\.parts=2 has a new name"),
        (["model.groups=7"], r"but got 512 and 7 \(--set model\.groups=7\)$"),
        (["seed=2", "model={groups: 7}"], r"but got 512 and 7 \(--set model=\{groups: 7\}\)$"),
        (
            ["model.groups=16", "model.embedding_dim=500"],
            r"\(--set model\.groups=16, --set model\.embedding_dim=500\)$",
        ),
        (["loss.margin=-1", "loss.margin=-2"], r"but got -2 \(--set loss\.margin=-2\)$"),
        (["optimizer.warmup.type=foo"], r"\(--set optimizer\.warmup\.type=foo\)$"),
    ],
)
def test_an_error_in_an_override_names_the_override(path, overrides, message):
    with pytest.raises(UrfrError, match=message):
        load_config(path, overrides)


def test_an_error_in_the_file_names_the_file(path):
    path.write_text(path.read_text() + "model: {groups: 7}\n")
    with pytest.raises(UrfrError, match=r"but got 512 and 7 \(.*x\.yaml\)$"):
        load_config(path, ["seed=2"])


def test_an_override_of_a_group_replaces_the_group(path):
    path.write_text(path.read_text() + "augment: {blur: 0.5}\nloss: {margin: 3}\n")
    config = load_config(path, ["augment={pose: 0.25}", "loss.cls=1"])
    assert config.augmentations == {"pose": 0.25}
    assert (config.loss.margin, config.loss.cls) == (3, 1)


def test_too_few_groups_for_the_masks():
    """2 groups have binomial(2, 1) = 2 different halves; three variations need three."""
    tree = {
        **RATE,
        "model": {"groups": 2},
        "augment": {"blur": 0.1, "occlusion": 0.1, "pose": 0.1},
        "decorrelation": {"enabled": True},
    }
    with pytest.raises(UrfrError, match=r"model\.groups 2 .* needs 3"):
        from_dict(tree, "test")


def test_batch_must_divide_over_replicas():
    with pytest.raises(UrfrError, match=r"data\.batch_size must be a multiple of runtime\.replicas"):
        from_dict({**RATE, "data": {"batch_size": 7}, "runtime": {"replicas": 2}}, "test")


def test_the_tree_is_locked(path):
    config = load_config(path)
    for group, key in ((config, "seed"), (config.loss, "margin"), (config.optimizer, "momentum")):
        with pytest.raises(ValueError, match="locked"):
            setattr(group, key, 1)


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "\x00"])
def test_a_file_that_is_no_configuration(tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(UrfrError, match=r"bad\.yaml"):
        load_config(tmp_path / "bad.yaml")


def test_a_missing_file(tmp_path):
    with pytest.raises(UrfrError, match="could not read the configuration"):
        load_config(tmp_path / "none.yaml")


def test_aliases_that_stand_for_a_billion_values(tmp_path):
    """Each list is ten times the one before, so that the text of an error alone would fill the memory."""
    lists = ["&a0 [x, x, x, x, x, x, x, x, x, x]"]
    lists += [f"&a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (tmp_path / "a.yaml").write_text(f"model: {{backbone: [{', '.join(lists)}]}}\n")
    with pytest.raises(UrfrError, match="aliases stand for more than 100000 values"):
        load_config(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    "value", ["2001-99-99", "9" * 5000, "!!int x", "!!timestamp x", "!!bool x", '!!int ""']
)
def test_values_that_look_like_another_type(tmp_path, value):
    (tmp_path / "a.yaml").write_text(f"name: {value}\n")
    with pytest.raises(UrfrError, match="does not parse"):
        load_config(tmp_path / "a.yaml")
