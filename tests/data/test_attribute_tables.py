"""Attribute tables: CelebA's layout, TSVs with and without a heading, and every refusal."""

import numpy as np
import pytest

from urfr_tf.data.attribute_tables import read_attributes
from urfr_tf.errors import UrfrError


def test_celeba_layout(tmp_path):
    path = tmp_path / "list_attr_celeba.txt"
    path.write_text("2\nMale Smiling Young\n000001.jpg -1  1  1\n000002.jpg  1 -1  1\n")
    names, rows = read_attributes(path)
    assert names == ["Male", "Smiling", "Young"]
    np.testing.assert_array_equal(rows["000001.jpg"], [0, 1, 1])
    np.testing.assert_array_equal(rows["000002.jpg"], [1, 0, 1])


def test_tsv_with_heading_and_soft_values(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("key\tyoung\tsmiling\nAda\t0.25\tyes\nBob\t1\tno\n")
    names, rows = read_attributes(path)
    assert names == ["young", "smiling"]
    np.testing.assert_array_equal(rows["Ada"], np.float32([0.25, 1]))
    np.testing.assert_array_equal(rows["Bob"], [1, 0])


def test_tsv_of_one_column_is_called_after_its_file(tmp_path):
    path = tmp_path / "lfw_gender_by_identity.tsv"
    path.write_text("Ada\tfemale\nBob\tmale\n")
    names, rows = read_attributes(path)
    assert names == ["gender"]
    assert (rows["Ada"][0], rows["Bob"][0]) == (1, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("Ada\tfemale\nBob\n", "line 2"),
        ("Ada\tfemale\nBob\tperhaps\n", "'Bob perhaps'"),
        ("Ada\t0.5\nBob\tnan\n", "line 2"),
        ("Ada\t0.5\nBob\t7\n", "line 2"),
        ("1\nMale\na.jpg 1 1\n", "line 3"),
        ("Ada\tmale\nAda\tfemale\n", "line 2 of .* gives Ada other values"),
    ],
)
def test_refused_with_the_line(tmp_path, text, message):
    (tmp_path / "bad.tsv").write_text(text)
    with pytest.raises(UrfrError, match=message):
        read_attributes(tmp_path / "bad.tsv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_dialects(tmp_path, delimiter, encoding):
    text = "key\tmale\tyoung\r\nAda\u2028Lee.jpg\t-1\t1\r\nJos\u00e9.jpg\t1\t0\r\n".replace("\t", delimiter)
    (tmp_path / "x.csv").write_bytes(text.encode(encoding))
    names, rows = read_attributes(tmp_path / "x.csv")
    assert names == ["male", "young"]
    assert {key: row.tolist() for key, row in rows.items()} == {
        "Ada\u2028Lee.jpg": [0, 1],
        "Jos\u00e9.jpg": [1, 0],
    }
