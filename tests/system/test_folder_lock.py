"""A lock on a folder: who has it is named, and nothing stays behind."""

import errno
import fcntl
import os
import subprocess
import sys
import threading

import pytest
from paths import ROOT

from urfr_tf.errors import UrfrError
from urfr_tf.system.folder_lock import LOCK, lock_folder


def test_the_second_is_refused_and_told_who_is_first(tmp_path):
    folder = tmp_path / "new" / "folder"
    with lock_folder(folder, "urfr one"):
        with (
            pytest.raises(
                UrfrError, match=rf"urfr one \(process {os.getpid()} on .+\) is writing to .*folder"
            ),
            lock_folder(folder, "urfr two"),
        ):
            pass
        with lock_folder(folder, "urfr two", ".other"):
            pass
    assert not (tmp_path / "new").exists()  # it was made for the lock, and nothing was written


def test_what_was_written_stays(tmp_path):
    with pytest.raises(ZeroDivisionError), lock_folder(tmp_path / "new", "x"):
        (tmp_path / "new" / "file").touch()
        raise ZeroDivisionError
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]
    with lock_folder(tmp_path / "new", "y"):
        pass


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path):
    code = "import os, signal\nfrom urfr_tf.system.folder_lock import lock_folder\n"
    code += f"with lock_folder({str(tmp_path)!r}, 'x'):\n    os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert (tmp_path / LOCK).exists()
    with lock_folder(tmp_path, "y"):
        assert (tmp_path / LOCK).read_text().startswith(f"y (process {os.getpid()} on ")
    assert not (tmp_path / LOCK).exists()


def test_many_that_wait_get_in_one_after_the_other(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(20):
            with lock_folder(tmp_path, "x", wait=True):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, capsys):
    def fail(descriptor, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", fail)
    with lock_folder(tmp_path, "x"):
        assert "has no locks (No locks available); make sure" in capsys.readouterr().err


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(UrfrError, match="expected a folder at .*, but it is a file"),
        lock_folder(tmp_path / "file", "x"),
    ):
        pass
