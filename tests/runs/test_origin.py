"""The commit of this code, and of no other repository."""

import shutil
import subprocess

import pytest

from urfr_tf.runs import origin


def git(folder, *words):
    name = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", *name, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture()
def commit_of(monkeypatch):
    """Returns what is recorded for a package in another folder."""

    def find(package):
        (package / "runs").mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(origin, "__file__", str(package / "runs" / "origin.py"))
        return origin.find_git_commit()

    return find


def repository(folder, name):
    (folder / "urfr_tf").mkdir(parents=True)
    (folder / "urfr_tf" / "__init__.py").touch()
    (folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


@pytest.mark.parametrize("place", ["plain", "caf\udce9"])
def test_its_own_repository(tmp_path, commit_of, monkeypatch, place):
    project = repository(tmp_path / place, "urfr-tf")
    # A hook of another repository sets this.
    monkeypatch.setenv("GIT_DIR", str(repository(tmp_path / "other", "else") / ".git"))
    commit = commit_of(project / "urfr_tf")
    assert len(commit) == 40
    (project / "urfr_tf" / "__init__.py").write_text("# changed")
    assert commit_of(project / "urfr_tf") == f"{commit}+changes"
    # Installed into a virtual environment inside the project: not known to be the code of the commit.
    installed = project / ".venv" / "lib" / "urfr_tf"
    shutil.copytree(project / "urfr_tf", installed)
    assert commit_of(installed) == "unknown"


def test_the_repository_of_somebody_else(tmp_path, commit_of):
    theirs = repository(tmp_path / "theirs", "product")
    assert commit_of(theirs / ".venv" / "site-packages" / "urfr_tf") == "unknown"
    assert commit_of(theirs / "urfr_tf") == "unknown"  # a copy that they committed
    loose = repository(tmp_path / "loose", "urfr-tf")
    git(loose, "rm", "-q", "--cached", "urfr_tf/__init__.py")
    assert commit_of(loose / "urfr_tf") == "unknown"
    assert commit_of(tmp_path / "urfr_tf") == "unknown"
