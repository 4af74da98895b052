"""`loss.teacher`: the start of a run teaches it what an augmented image was."""

import numpy as np
import pytest
import tensorflow as tf
from one_unit import MODEL
from stepping import step_of

from urfr_tf import keys
from urfr_tf.config.load_config import from_dict, load_config
from urfr_tf.errors import UrfrError
from urfr_tf.keras2 import keras
from urfr_tf.models.inference_graph import build_inference
from urfr_tf.runs.folder import open_run
from urfr_tf.runs.network_weights import WEIGHTS
from urfr_tf.training.optimizers import build_schedule
from urfr_tf.training.tasks.recognition import build_recognition_model, compile_model

B, CLASSES = 6, 5
RUNTIME = {"precision": "float32"}
RATE = {"weight_decay": 0.0, "learning_rate": {"type": "constant", "constant": {"learning_rate": 0.5}}}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A run folder with drawn weights."""
    run = tmp_path_factory.mktemp("runs") / "start"
    config = from_dict({"model": MODEL, "optimizer": RATE, "runtime": RUNTIME}, "test")
    open_run(run, config, {})
    build_inference(config).save_weights(str(run / WEIGHTS))
    return run


def built(start, **changes):
    tree = {
        "initial_weights": str(start),
        "model": MODEL,
        "confidence": {"initial": 10.0},
        "augment": {"blur": 0.5},
        "loss": {"margin": 2.0, "teacher": 3.0},
        "optimizer": RATE,
        "train": {"freeze_batch_norm": "all"},
        "runtime": RUNTIME,
    }
    for key, value in changes.items():
        tree[key] = {**tree.get(key, {}), **value}
    config = from_dict(tree, "test")
    model, network = build_recognition_model(config, CLASSES, synchronized=False)
    compile_model(config, model, build_schedule(config.optimizer, 10))
    return model, network


def batch(varied=True):
    random = np.random.default_rng(0)
    original = random.integers(0, 256, [B, 32, 32, 3]).astype(np.uint8)
    images = original.astype(np.float32)
    if varied:
        images[:, 10:20] = 0
    inputs = {keys.IMAGE: images, keys.ORIGINAL: original, keys.LABEL: random.integers(0, CLASSES, B)}
    return tf.nest.map_structure(tf.constant, (inputs, {keys.VARIATION: np.ones([B, 1], np.float32)}))


def test_nothing_to_learn_where_nothing_was_varied(start):
    """The network is its own teacher at the start, and its batch norms stand still."""
    logs = step_of(built(start)[0])(batch(varied=False))
    assert float(logs["teacher"]) == pytest.approx(0, abs=1e-6)


def test_the_term_is_that_of_the_start_and_adds_up(start):
    model, network = built(start)
    data = batch()
    inputs, _ = data
    taught = network({keys.IMAGE: tf.cast(inputs[keys.ORIGINAL], tf.float32)})[keys.EMBEDDING].numpy()
    seen = network({keys.IMAGE: inputs[keys.IMAGE]})[keys.EMBEDDING].numpy()
    expected = 1 - (taught * seen).sum(-1).mean()
    assert expected > 0.01
    step = step_of(model)
    logs = {name: float(value) for name, value in step(data).items()}
    assert logs["teacher"] == pytest.approx(expected, abs=1e-5)
    total = logs["identification"] + 0.001 * logs["regularizer"] + 3 * logs["teacher"]
    assert logs["loss"] == pytest.approx(total, rel=1e-5)
    assert model.log_values()[1]["weight_teacher"] == 3.0


def test_alone_it_brings_the_augmented_image_to_what_the_start_said(start):
    """Twenty steps lower it, and the teacher is still the start: its answer to the original does not move."""
    model, _ = built(start, loss={"margin": 0.0, "teacher": 10.0}, optimizer={"clip_norm": 0.2})
    data = batch()
    before = model.teacher(data[0][keys.ORIGINAL]).numpy()
    step = step_of(model)
    first = float(step(data)["teacher"])
    for _ in range(20):
        model.reset_metrics()
        last = float(step(data)["teacher"])
    assert last < 0.5 * first
    np.testing.assert_array_equal(model.teacher(data[0][keys.ORIGINAL]), before)


def test_it_is_in_no_checkpoint(start):
    model, _ = built(start)
    plain, _ = built(start, loss={"teacher": 0.0})
    counts = [len(each.weights) for each in (model, plain)]
    # One more metric, a mean with its count.
    assert counts[0] - counts[1] == 2


def test_micro_batches_teach_as_one(start):
    data, weights = batch(), []
    for accumulate in (1, 2):
        keras.utils.set_random_seed(0)
        model, _ = built(
            start, data={"batch_size": B}, train={"accumulate": accumulate}, optimizer={"clip_norm": 0.2}
        )
        step_of(model)(data)
        weights.append([v.numpy() for v in model.theta])
    for one, two in zip(*weights, strict=True):
        np.testing.assert_allclose(two, one, atol=2e-6, rtol=1e-5)


def test_what_cannot_teach_is_refused(start, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("loss: {teacher: 1.0}\noptimizer: {learning_rate: {type: constant}}\n")
    with pytest.raises(UrfrError, match="loss.teacher needs initial_weights"):
        load_config(path)
    with pytest.raises(UrfrError, match="continues the one of initial_weights, because loss.teacher"):
        built(start, model={"embedding_dim": 8})
