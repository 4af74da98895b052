"""The tasks other than recognition, for real: theta_A and mining, and the uncertainty stage."""

import h5py
import numpy as np
import pytest
from running import start

from urfr_tf.cli import main
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.stream.soft_labels import check_soft_labels
from urfr_tf.errors import UrfrError
from urfr_tf.training.mine import mine_labels, write_known_labels

ATTRIBUTES = """
name: theta_a
task: attributes
data: {train: SHARDS, validation: SHARDS, batch_size: 8, soft_labels: [gender]}
model: {input_size: 32}
optimizer: {clip_norm: 5.0, learning_rate: {type: constant, constant: {learning_rate: 0.05}}}
train: {epochs: 2, steps_per_epoch: 15, tensorboard: false}
runtime: {precision: float32}
"""

UNCERTAINTY = """
name: pa
task: uncertainty
initial_weights: RUN
data: {train: SHARDS, validation: SHARDS, batch_size: 8}
model: {backbone: ir1, width: 0.125, input_size: 32, embedding_dim: 16, groups: 4}
confidence: {initial: 10.0}
uncertainty: {images_per_identity: 2}
optimizer:
  weight_decay: 0.0
  clip_norm: 5.0
  learning_rate: {type: constant, constant: {learning_rate: 0.02}}
train: {epochs: 2, steps_per_epoch: 10, tensorboard: false}
runtime: {precision: float32}
"""


def train(text, folder, **places):
    for name, place in places.items():
        text = text.replace(name, str(place))
    (folder / "config.yaml").write_text(text)
    return start(folder / "config.yaml", folder / "run")


def weights(run):
    """name -> array of every weight in a run's inference.weights.h5."""
    arrays = {}
    with h5py.File(run / "inference.weights.h5") as file:
        file.visititems(
            lambda n, item: arrays.update({n: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return arrays


def test_attributes_are_learned_and_mined(people, shards, tmp_path, capsys):
    """Persons 0 and 1 are class 0, persons 2 and 3 class 1. They look different, so both are learned."""
    table = tmp_path / "gender.tsv"
    table.write_text("".join(f"person_{i}\t{'female' if i > 1 else 'male'}\n" for i in range(4)))
    summary = write_known_labels(str(table), str(shards))
    assert summary["gender"] == {"images": 28, "mean": 0.5, "positive": 0.5}
    done = train(ATTRIBUTES, tmp_path, SHARDS=shards)
    assert done.returncode == 0, done.stderr
    assert "val_gender_balanced 1" in done.stdout
    mined = mine_labels(str(tmp_path / "run"), str(shards), ["gender"])
    assert mined["gender"]["positive"] == 0.5
    manifest = load_manifest(shards)
    values = np.concatenate([np.fromfile(p, "<f4") for p in check_soft_labels(manifest, "gender")])
    assert values.shape == (28,)
    assert np.all((values >= 0) & (values <= 1))
    # The same photographs in crops of twice the side give nearly the same labels where they are shrunk first.
    large, run = tmp_path / "large", str(tmp_path / "run")
    command = ["prepare", "--source", "folder", "--path", str(people), "--out", str(large), "--size", "80"]
    assert main(command) == 0
    assert main(["mine", "--model", run, "--data", str(large), "--scale-to", "40"]) == 0
    paths = check_soft_labels(load_manifest(large), "gender")
    shrunk = np.concatenate([np.fromfile(path, "<f4") for path in paths])
    np.testing.assert_allclose(shrunk, values, atol=0.02)
    assert main(["mine", "--labels", str(table), "--data", str(large), "--scale-to", "40"]) == 1
    assert "--scale-to with --model alone" in capsys.readouterr().err


def test_with_the_adversary_domain_images_to_be_mined_need_no_attributes(shards, tmp_path):
    """Persons 0 and 2 have a gender. Persons 1 and 3 are of the other domain, where labels are not read."""
    weights_of = []
    for nonsense in ("male", "female"):
        folder = tmp_path / nonsense
        folder.mkdir()
        genders = {0: "male", 1: nonsense, 2: "female", 3: nonsense}
        rows = (f"person_{i}\t{genders[i]}\t{i % 2}\n" for i in range(4))
        (folder / "labels.tsv").write_text("key\tgender\ttarget\n" + "".join(rows))
        write_known_labels(str(folder / "labels.tsv"), str(shards))
        text = ATTRIBUTES.replace("[gender]", "[gender, target]").replace(", validation: SHARDS", "")
        text += "attributes: {adversary: domain, domain: target, balanced: true}\n"
        done = train(text, folder, SHARDS=shards)
        assert done.returncode == 0, done.stderr
        weights_of.append(weights(folder / "run"))
        mined = mine_labels(str(folder / "run"), str(shards))
        assert list(mined) == ["gender"]
    first, second = weights_of
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    log = (tmp_path / "male" / "run" / "log.csv").read_text().splitlines()
    last = dict(zip(log[0].split(","), log[-1].split(","), strict=True))
    # Two people that differ are told apart; two classes left undecided cost log 2 each.
    assert float(last["accuracy"]) > 0.9
    assert float(last["confusion"]) >= np.log(2) - 1e-3


def test_uncertainty_stage_moves_the_confidence_head_alone(shards, tiny_run, tmp_path):
    done = train(UNCERTAINTY, tmp_path, SHARDS=shards, RUN=tiny_run)
    assert done.returncode == 0, done.stderr
    assert "weights outside the confidence head are unchanged" in done.stdout
    before, after = weights(tiny_run), weights(tmp_path / "run")
    assert before.keys() == after.keys()
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved
    assert all("confidence" in name for name in moved)
    assert len(moved) == 2  # kernel and bias
    first = float(done.stdout.split("before: negative_mutual_likelihood ")[1].split()[0])
    last = float(done.stdout.split("val_negative_mutual_likelihood ")[-1].split(",")[0])
    assert last < first


def test_mining_refuses_another_task_and_unknown_attributes(tiny_run, shards, tmp_path):
    with pytest.raises(UrfrError, match="task: attributes"):
        mine_labels(str(tiny_run), str(shards))
    (tmp_path / "t.tsv").write_text("person_0\t1\n")
    with pytest.raises(UrfrError, match="21 have none"):
        write_known_labels(str(tmp_path / "t.tsv"), str(shards))
    with pytest.raises(UrfrError, match="expected attributes out of"):
        write_known_labels(str(tmp_path / "t.tsv"), str(shards), ["hat"])
