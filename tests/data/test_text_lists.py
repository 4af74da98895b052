"""Lists as editors, spreadsheets and other systems write them."""

import pytest

from urfr_tf.data.text_lists import SPACES, choose_delimiter, decode_list, first_lines, open_list, split_cells
from urfr_tf.errors import UrfrError

TEXT = "path,identity\nJosé/1.jpg,李明\n\nb.jpg,Zoë\n"
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le with mark", "utf-16-be with mark")


def encode(text, encoding):
    if encoding.endswith("with mark"):
        return ("\ufeff" + text).encode(encoding.split()[0])
    return text.encode(encoding)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_any_encoding_and_any_line_ends(tmp_path, encoding, end):
    content = encode(TEXT.replace("\n", end), encoding)
    (tmp_path / "list").write_bytes(content)
    with open_list(str(tmp_path / "list")) as file:
        assert file.read() == TEXT
    assert decode_list(content, "x") == first_lines(str(tmp_path / "list"))[:-1] == TEXT.split("\n")[:-1]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark(tmp_path, encoding):
    (tmp_path / "list").write_bytes("a/1.jpg\tJosé\n".encode(encoding))
    assert first_lines(str(tmp_path / "list")) == ["a/1.jpg\tJosé", ""]


def test_bytes_that_are_not_utf_8_come_back(tmp_path):
    (tmp_path / "list").write_bytes(b"J\xfcrgen.jpg\n")
    with open_list(str(tmp_path / "list")) as file:
        assert file.read().encode("utf-8", "surrogateescape") == b"J\xfcrgen.jpg\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0\1", "is binary"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is binary"),
        (bytes(300), "is binary"),
        (b"\0a\0b\0c\0\1\0\2", "is binary"),
        ("\ufeffabc".encode("utf-16-le")[:-1], "is not whole"),
        (b"\xff\xfe\0\xd8a\0", "is not whole"),  # half of a pair of surrogates
    ],
)
def test_what_is_no_text_is_a_sentence(tmp_path, content, words):
    (tmp_path / "list").write_bytes(content)
    with (
        pytest.raises(UrfrError, match=f"expected .*text.* {words}"),
        open_list(str(tmp_path / "list")) as file,
    ):
        file.read()
    with pytest.raises(UrfrError, match=words):
        decode_list(content, "x")


def test_a_list_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(UrfrError, match="could not read the list .*: No such file"):
        first_lines(str(tmp_path / "none"))


def test_the_beginning_of_a_long_list_has_whole_lines(tmp_path):
    (tmp_path / "list").write_text("".join(f"{i:09d}\n" for i in range(10_000)))
    lines = first_lines(str(tmp_path / "list"))
    assert lines == [f"{i:09d}" for i in range(6553)]  # 65,536 characters in lines of 10


def test_cells():
    assert split_cells('"a;b" ; c;', ";") == ["a;b", "c", ""]
    assert split_cells("a b\t c", "\t") == ["a b", " c"]
    assert split_cells(" a  b\t c ", SPACES) == ["a", "b", "c"]
    assert split_cells("", ",") == []


def test_the_delimiter_that_fits_most_lines_is_chosen():
    def two(cells):
        return len(cells) == 2

    assert choose_delimiter(["a,b;c", "a;c", "", "x"], ",;", two) == ";"
    assert choose_delimiter(["a,b;c", "d,e;f"], ",;", two) == ","
    assert choose_delimiter(["one"], ",;", two) == ","
    assert choose_delimiter(["a" * 200_000 + ";b"], ",;", two) == ","
