import cv2
import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.plugins.projector import ProjectorConfig

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.projector import SIDE, make_sprite, write_projector


def faces(number):
    return np.stack([np.full((32, 32, 3), (10 * k, 0, 255), np.uint8) for k in range(number)])


def test_the_sprite_is_a_square_of_tiles_row_by_row():
    # 5 faces need ceil(sqrt 5) = 3 tiles a side; face 4 (red 40) stands in row 1, column 1.
    sheet = make_sprite(faces(5), side=16)
    assert sheet.shape == (48, 48, 3)
    assert (sheet[16:32, 16:32] == (40, 0, 255)).all()
    assert (sheet[32:] == 255).all()


def test_tensorboard_reads_what_was_written(tmp_path):
    embedding = np.array([[0.5, -0.25], [1.0, 0.0]], np.float32)
    labels = {"person": ["Ann\tB.", "C\nD"], "augmented": [False, True]}
    write_projector(tmp_path, embedding, labels, faces(2))
    (config,) = text_format.Parse(
        (tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig()
    ).embeddings
    np.testing.assert_array_equal(np.loadtxt(tmp_path / config.tensor_path, delimiter="\t"), embedding)
    lines = (tmp_path / config.metadata_path).read_text().splitlines()
    assert lines == ["person\taugmented", "Ann B.\tFalse", "C D\tTrue"]
    assert list(config.sprite.single_image_dim) == [SIDE, SIDE]
    sheet = cv2.imread(str(tmp_path / config.sprite.image_path))[..., ::-1]
    assert sheet.shape == (2 * SIDE, 2 * SIDE, 3) and (sheet[:SIDE, SIDE : 2 * SIDE] == (10, 0, 255)).all()


def test_one_column_has_no_heading(tmp_path):
    write_projector(tmp_path, np.ones((2, 3)), {"person": ["a", ""]}, faces(2))
    assert (tmp_path / "metadata.tsv").read_text() == "a\n-\n"


@pytest.mark.parametrize(
    ("embedding", "labels", "number", "sentence"),
    [
        (np.ones((2, 3)), {"person": ["a"]}, 2, "label and a face for each of 2"),
        (np.ones((2, 3)), {}, 2, "label and a face for each of 2"),
        (np.ones((2, 3)), {"person": ["a", "b"]}, 3, "3 faces"),
        (np.full((2, 3), np.nan), {"person": ["a", "b"]}, 2, "finite"),
    ],
)
def test_what_does_not_match_is_refused_and_nothing_is_written(tmp_path, embedding, labels, number, sentence):
    with pytest.raises(UrfrError, match=sentence):
        write_projector(tmp_path, embedding, labels, faces(number))
    assert list(tmp_path.iterdir()) == []


def test_more_faces_than_a_texture_holds_are_refused():
    # 8192 / 4096 = 2 tiles a side: 4 faces fit, 5 do not.
    with pytest.raises(UrfrError, match="at most 4 faces"):
        make_sprite(faces(5), side=4096)
