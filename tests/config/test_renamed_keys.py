"""Keys with a new name: old run folders are still read, old user files get a sentence."""

import pytest

from urfr_tf.config.load_config import from_dict, load_config, read_run_config, to_yaml
from urfr_tf.config.renamed_keys import RENAMED_KEYS, rename_old_keys
from urfr_tf.errors import UrfrError
from urfr_tf.runs.folder import open_run

RATE = {"optimizer": {"learning_rate": {"type": "constant", "constant": {"learning_rate": 0.1}}}}


@pytest.fixture()
def old_run(tmp_path):
    """A run folder whose config.yaml was written when data.worker_shares was data.parts."""
    run = tmp_path / "run"
    run.mkdir()
    text = to_yaml(from_dict({**RATE, "data": {"batch_size": 8, "worker_shares": 2}}, "test"))
    (run / "config.yaml").write_text(text.replace("worker_shares: 2", "parts: 2"))
    return run


def test_a_run_with_an_old_key_is_read(old_run):
    assert read_run_config(old_run).data.worker_shares == 2


def test_a_run_with_an_old_key_goes_on_and_its_file_stays(old_run):
    """The fingerprint of a model is over config.yaml, so a run that is opened again must not rewrite it."""
    before = (old_run / "config.yaml").read_bytes()
    open_run(old_run, read_run_config(old_run), {})
    assert (old_run / "config.yaml").read_bytes() == before


def test_a_run_that_goes_on_longer_is_written_with_the_new_key(old_run):
    longer = from_dict(
        {**RATE, "data": {"batch_size": 8, "worker_shares": 2}, "train": {"epochs": 30}}, "test"
    )
    open_run(old_run, longer, {})
    assert "worker_shares: 2" in (old_run / "config.yaml").read_text()
    assert read_run_config(old_run).train.epochs == 30


def test_an_old_key_in_a_file_of_a_user_names_the_new_one(tmp_path):
    (tmp_path / "x.yaml").write_text("data: {parts: 2}\n")
    with pytest.raises(
        UrfrError, match=r"data\.parts in .*x\.yaml has a new name: write data\.worker_shares"
    ):
        load_config(tmp_path / "x.yaml")


def test_an_old_key_beside_the_new_one_is_refused(old_run):
    text = (old_run / "config.yaml").read_text()
    (old_run / "config.yaml").write_text(text.replace("  parts: 2", "  parts: 2\n  worker_shares: 4"))
    with pytest.raises(UrfrError, match=r"data\.parts"):
        read_run_config(old_run)


@pytest.mark.parametrize("tree", [{}, {"data": None}, {"data": [1]}, {"data": {"train": "x"}}])
def test_a_tree_without_old_keys_stays(tree):
    assert rename_old_keys(tree) == tree


def test_each_new_name_is_a_key():
    tree = from_dict(RATE, "test").as_dict()
    for old, new in RENAMED_KEYS.items():
        for name, known in ((old, False), (new, True)):
            *groups, key = name.split(".")
            group = tree
            for name_of_group in groups:
                group = group[name_of_group]
            assert (key in group) == known
