"""Faces turned ahead of training: which are written, and which of them a pass meets."""

import itertools
import json

import forked
import numpy as np
import pytest
import tensorflow as tf
from made_up import encoded, numbered_shards, picture
from streams import training_stream

from urfr_tf import keys
from urfr_tf.augment.choose import YAW_DEGREES
from urfr_tf.augment.pose import random_turn, turn
from urfr_tf.cli import main
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.preparation.crops import Crop
from urfr_tf.data.preparation.shard_writer import shard_name, write_classes, write_manifest, write_shard
from urfr_tf.data.stream.settings import WorkerShare
from urfr_tf.data.stream.turned_faces import turn_shards, turned_paths
from urfr_tf.errors import UrfrError
from urfr_tf.faces.template import five_points

IMAGES, PEOPLE, SIDE, BATCH, STEPS = 103, 7, 20, 10, 10
COPIES = 2
MARK = 77  # blue of copy c is MARK + c


def png_records(path, faces):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for face in faces:
            writer.write(encoded(face))


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """Image i has the red i; its turned face, laid down by hand, too, but a blue that names the copy."""
    folder = numbered_shards(tmp_path_factory.mktemp("marked"), IMAGES, PEOPLE, SIDE)
    manifest = load_manifest(folder)
    turn_shards(manifest, COPIES, seed=1)
    starts = np.cumsum([0, *manifest.shard_records])
    for copy, of_copy in enumerate(turned_paths(manifest)):
        for shard, path in enumerate(of_copy):
            faces = []
            for number in range(starts[shard], starts[shard + 1]):
                faces.append(np.full([SIDE, SIDE, 3], (number, 0, MARK + copy), np.uint8))
            png_records(path, faces)
    result = folder / "turned" / "turned.json"
    content = json.loads(result.read_text())
    content["bytes"] = {
        f"{copy}/{path.name}": path.stat().st_size
        for copy, of_copy in enumerate(turned_paths_unchecked(manifest))
        for path in of_copy
    }
    result.write_text(json.dumps(content))
    return folder


def turned_paths_unchecked(manifest):
    folder = manifest.folder / "turned"
    return [[folder / str(copy) / path.name for path in manifest.shard_paths] for copy in range(COPIES)]


def batches(folder, count, start=0, **settings):
    stream = training_stream(
        folder,
        **{
            "batch_size": BATCH,
            "crop_size": SIDE,
            "seed": 3,
            "start_step": start,
            "shuffle_buffer": 40,
            "probabilities": {"pose": 0.4},
            "turned": True,
            **settings,
        },
    )
    return list(itertools.islice(stream.as_numpy_iterator(), count))


def test_a_chosen_image_is_the_turned_face_of_its_record_and_the_pass_says_of_which_copy(marked):
    shares = []
    for step, (inputs, targets) in enumerate(batches(marked, 3 * STEPS)):
        pixel = inputs[keys.IMAGE][:, 0, 0].astype(int)
        posed = targets[keys.VARIATION][:, 0] == 1.0
        # Image i is of person i mod 7: the red of original and turned face alike must say so.
        assert (pixel[:, 0] % PEOPLE == inputs[keys.LABEL]).all()
        copy = step // STEPS % COPIES
        assert (pixel[posed, 2] == MARK + copy).all()
        # An original's blue is its row, 0 at the top; its green is twice its red.
        assert (pixel[~posed, 2] == 0).all()
        assert (pixel[~posed, 1] == 2 * pixel[~posed, 0]).all()
        shares.append(posed.mean())
    # 300 coins of 0.4: standard error .028.
    assert abs(np.mean(shares) - 0.4) < 4 * 0.028


def test_in_memory_and_resumed_streams_are_the_same(marked):
    def content(several):
        return [
            (x[keys.IMAGE].tobytes(), x[keys.LABEL].tobytes(), y[keys.VARIATION].tobytes())
            for x, y in several
        ]

    varied = {"probabilities": {"pose": 0.4, "blur": 0.3, "occlusion": 0.3}, "crop_size": 16}
    unbroken = content(batches(marked, 25, **varied))
    assert content(batches(marked, 13, start=12, **varied)) == unbroken[12:]
    assert content(batches(marked, 25, cache=True, **varied)) == unbroken


def test_a_share_of_the_data_meets_the_turned_faces_of_its_own_shards(marked):
    # 35, 34 and 34 records: shard 0 is share 0, the two others are share 1.
    for index, numbers in enumerate((range(35), range(35, IMAGES))):
        settings = {"worker_share": WorkerShare(index, 2), "probabilities": {"pose": 1.0}}
        for inputs, targets in batches(marked, 4, **settings):
            pixel = inputs[keys.IMAGE][:, 0, 0].astype(int)
            assert (targets[keys.VARIATION] == 1.0).all()
            assert (pixel[:, 2] == MARK).all()
            assert (pixel[:, 0] % PEOPLE == inputs[keys.LABEL]).all()
            assert set(pixel[:, 0].tolist()) <= set(numbers)


def test_the_other_coins_stay_as_they_are(marked):
    chances = {"pose": 0.4, "blur": 0.3}
    ahead = batches(marked, 3, probabilities=chances)
    here = batches(marked, 3, probabilities=chances, turned=False)
    for (_, one), (_, other) in zip(ahead, here, strict=True):
        np.testing.assert_array_equal(one[keys.VARIATION], other[keys.VARIATION])


SIZE = 48


@pytest.fixture
def faces(tmp_path):
    """70 pictures in two shards, one of them of more than a batch; the first has points, others have none."""
    points = five_points(SIZE).ravel() + np.arange(10) / 5

    def crop(number):
        known = tuple(points.tolist()) if number == 0 else None
        return Crop(
            b"", f"p{number % 2}", f"{number}.png", encoded(picture(number, SIZE, SIZE)), points=known
        )

    ranges = [range(66), range(66, 70)]
    labels = {"p0": 0, "p1": 1}
    entries = [
        write_shard(tmp_path / shard_name(s, 2), map(crop, indices), labels)
        for s, indices in enumerate(ranges)
    ]
    write_classes(tmp_path, {"p0": 35, "p1": 35})
    write_manifest(tmp_path, {"images": 70, "classes": 2, "image_size": SIZE, "shards": entries})
    return load_manifest(tmp_path)


def decoded(path):
    return [
        tf.io.decode_jpeg(face).numpy() for face in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    ]


def through_jpeg(images):
    whole = tf.saturate_cast(images + 0.5, tf.uint8)
    coded = [tf.io.encode_jpeg(image, quality=95, chroma_downsampling=False) for image in whole]
    return np.stack([tf.io.decode_jpeg(image).numpy() for image in coded]).astype(float)


def content_of(manifest):
    return {path: path.read_bytes() for of_copy in turned_paths(manifest) for path in of_copy}


def test_what_is_written_is_the_face_turned_to_its_own_yaw(faces):
    done = []
    size = turn_shards(faces, 2, seed=5, on_progress=done.append)
    assert done == [66, 4, 66, 4]
    (first, second), (again, _) = turned_paths(faces)
    assert size == sum(path.stat().st_size for path in (first, second, again, turned_paths(faces)[1][1]))
    assert [len(decoded(first)), len(decoded(second))] == [66, 4]
    # The first batch of the first shard of copy 0: its seed is (5, 0) folded with shard 0 and batch 0.
    images = tf.constant(np.stack([picture(n, SIZE, SIZE) for n in range(64)]), tf.float32)
    points = np.tile(five_points(SIZE).ravel(), [64, 1]).astype(np.float32)
    points[0] += np.arange(10) / 5
    seed = tf.random.fold_in(tf.random.fold_in(tf.constant([5, 0], tf.int64), 0), tf.constant(0, tf.int64))
    expected = random_turn(images, tf.constant(points), seed, *YAW_DEGREES).numpy()
    written = np.stack(decoded(first)[:64]).astype(float)
    assert np.abs(written - through_jpeg(expected)).mean() < 0.05
    straight = turn(images, tf.constant(points), tf.zeros([64])).numpy()
    assert np.abs(written - straight).mean() > 5
    assert np.abs(written - np.stack(decoded(again)[:64])).mean() > 5


def test_interrupted_it_continues_to_the_same_bytes_and_done_it_does_nothing(faces):
    turn_shards(faces, 2, seed=5)
    whole = content_of(faces)
    times = {path: path.stat().st_mtime_ns for path in whole}
    turn_shards(faces, 2, seed=5)
    assert {path: path.stat().st_mtime_ns for path in whole} == times

    turn_shards(faces, 2, seed=6)
    assert all(path.read_bytes() != content for path, content in whole.items())

    def stop(images):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        turn_shards(faces, 2, seed=5, on_progress=stop)
    first = faces.folder / "turned" / "0" / faces.shard_paths[0].name
    written = first.stat().st_mtime_ns
    with pytest.raises(UrfrError, match=r"expected turned faces in .*turned, but there is no turned.json"):
        turned_paths(faces)
    turn_shards(faces, 2, seed=5)
    assert content_of(faces) == whole
    assert first.stat().st_mtime_ns == written


def test_a_record_that_is_no_image_is_named_by_its_shard_and_what_was_done_is_kept(faces):
    last = faces.shard_paths[1]
    write_shard(last, [Crop(b"", "p0", "66.png", b"no image")], {"p0": 0, "p1": 1})
    with pytest.raises(UrfrError, match=f"could not turn the faces of {last}: .*Unknown image file format"):
        turn_shards(faces, 1, seed=0)
    assert [path.name for path in (faces.folder / "turned" / "0").iterdir()] == [faces.shard_paths[0].name]


def test_faces_of_other_shards_or_damaged_ones_are_refused(faces):
    turn_shards(faces, 1, seed=0)
    path = turned_paths(faces)[0][1]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UrfrError, match=r"expected \d+ bytes in .*00001-of-00002.tfrecord, but found \d+"):
        turned_paths(faces)
    path.unlink()
    with pytest.raises(UrfrError, match="but found no file"):
        turned_paths(faces)
    faces.raw["shards"][0]["sha256"] = "0"
    with pytest.raises(UrfrError, match="of these shards, but they are of others: run urfr turn"):
        turned_paths(faces)


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": "urfr-turned/1", "copies": true, "bytes": []}'])
def test_a_mangled_description_is_a_sentence(faces, text):
    (faces.folder / "turned").mkdir()
    (faces.folder / "turned" / "turned.json").write_text(text)
    with pytest.raises(UrfrError, match="run urfr turn"):
        turned_paths(faces)


def test_what_cannot_be_asked_for_is_a_sentence(faces):
    with pytest.raises(UrfrError, match="expected 1 to 64 copies of each face, but got 0"):
        turn_shards(faces, 0, seed=0)
    with pytest.raises(UrfrError, match="expected a probability of pose where turned faces are asked for"):
        batches(faces.folder, 1, probabilities={"blur": 0.1})
    with pytest.raises(UrfrError, match="run urfr turn"):
        batches(faces.folder, 1)


def test_the_command_turns_and_says_how_to_use_it(faces):
    said = forked.run(main, ["turn", str(faces.folder)])
    assert said.returncode == 0
    assert "70/70" in said.stderr
    assert "data.turned: true" in said.stdout
    assert len(turned_paths(faces)) == 1
