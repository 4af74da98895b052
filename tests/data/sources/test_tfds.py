"""A TFDS data set made here, on disk, without the network."""

import numpy as np
import pytest
from made_up import picture, records_of

from urfr_tf.errors import UrfrError


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """The data set `made_up_faces`: splits train (3 people x 3) and test (2 x 1), PNG, labels by name.

    Written as a folder with metadata: examples in TFRecord files, `features.json`, `dataset_info.json`.
    """
    tfds = pytest.importorskip("tensorflow_datasets", reason="needs the extra tfds")
    import tensorflow as tf

    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["Zoë", "Ann", "Bob"]),
            "age": np.int64,
        }
    )
    root = tmp_path_factory.mktemp("tfds")
    folder = root / "made_up_faces" / "1.0.0"
    folder.mkdir(parents=True)
    template = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    splits = []
    for split, numbers in (("train", range(9)), ("test", range(20, 22))):
        path = folder / f"made_up_faces-{split}.tfrecord-00000-of-00001"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for i in numbers:
                row = {"image": picture(i), "label": i // 3 % 3, "age": i}
                writer.write(features.serialize_example(features.encode_example(row)))
        name = tfds.core.ShardedFileTemplate(
            template=template,
            dataset_name="made_up_faces",
            split=split,
            filetype_suffix="tfrecord",
            data_dir=folder,
        )
        lengths = [len(numbers)]
        splits.append(
            tfds.core.SplitInfo(name=split, shard_lengths=lengths, num_bytes=0, filename_template=name)
        )
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=features,
        split_infos=splits,
        filename_template=template,
        supervised_keys=("image", "label"),
    )
    return root


def test_all_splits_by_the_names_of_the_labels(prepared, data_dir):
    """Numbers 0 to 8 are the labels 0 to 2 three times; 20 // 3 = 6 -> label 0, 21 // 3 = 7 -> label 1."""
    folder, _ = prepared("tfds:made_up_faces", data_dir, size=40, lossless=True)
    records = records_of(folder)
    assert {r[1]: r[0] for r in records} == {"Ann": 0, "Bob": 1, "Zoë": 2}
    people = sorted(r[1] for r in records)
    assert people == ["Ann"] * 4 + ["Bob"] * 3 + ["Zoë"] * 4
    assert {r[2] for r in records} == {f"train/{i:09d}" for i in range(9)} | {
        f"test/{i:09d}" for i in range(2)
    }


def test_a_data_set_that_is_not_there_is_a_sentence(prepared, data_dir, tmp_path):
    for name in ("no_such_set", "made_up_faces/9.9.9", "../../etc"):
        with pytest.raises(UrfrError, match=r"expected (a|the) TFDS data set"):
            prepared(f"tfds:{name}", data_dir)
    with pytest.raises(UrfrError, match=r"expected (a|the) TFDS data set"):
        prepared("tfds:mnist", tmp_path)
