"""What the trainings on several devices and processes share."""

import pytest


@pytest.fixture(scope="session")
def four_shards(once, people, tiny_config):
    """The tiny configuration on the same people in four shards."""
    from urfr_tf.cli import main

    def write(folder):
        out = folder / "shards"
        words = ["prepare", "--source", "folder", "--path", str(people), "--size", "40", "--shards", "4"]
        assert main([*words, "--out", str(out)]) == 0
        text = tiny_config.read_text().replace(str(tiny_config.parent / "shards"), str(out))
        (folder / "tiny.yaml").write_text(text)

    return once("four", write) / "tiny.yaml"


@pytest.fixture(scope="session")
def one_replica(once, four_shards):
    """A short run on one replica, with the synchronized batch norms of several."""
    from running import SHORT, done

    def train(folder):
        done(four_shards, folder / "run", *SHORT, "runtime.replicas=1")

    return once("one_replica", train) / "run"
