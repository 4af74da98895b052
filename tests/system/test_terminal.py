"""What is printed on a terminal that cannot show it, and commands that can be pasted back."""

import io
import json
import subprocess

import pytest

from urfr_tf.system.terminal import accept_any_name, join_command

NAME = b"caf\xe9".decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_printing_never_fails(monkeypatch, encoding):
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    accept_any_name()
    for stream in (out, err):
        print(NAME, "café", "→", json.dumps({"path": f"é{NAME}"}), file=stream, flush=True)
        text = stream.buffer.getvalue().decode(encoding)
        assert text.startswith("caf\\udce9 ")
        assert json.loads(text[text.index("{") :]) == {"path": f"é{NAME}"}


WORDS = ["a", "a b", "it's", 'say "x"', "a\\b", "$HOME", "*", "-x", "é", NAME, f"'\\{NAME}$x"]


def test_bash_reads_a_command_back():
    printed = subprocess.run(
        ["bash", "-c", join_command(["printf", "%s\\n", *WORDS])], capture_output=True, check=True
    )
    assert printed.stdout.decode("utf-8", "surrogateescape").split("\n") == [*WORDS, ""]
