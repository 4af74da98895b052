"""Digests of files."""

from urfr_tf.files import file_sha256


def test_sha256_of_a_file(tmp_path):
    # The test vector of FIPS 180-2, appendix B.1, and an empty file.
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "empty").touch()
    assert (
        file_sha256(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
