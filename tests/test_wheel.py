"""A wheel built from the checkout works without the repository: presets, a training, loading the model.

It compiles the kernel, trains two steps and starts six processes, one of which imports TensorFlow. Nothing
shorter shows that every file which the package needs is in the wheel.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from paths import ROOT


def run(command, folder, **environment):
    """What a command prints, without anything of this process that would let it find the checkout."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    result = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**clean, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.fixture(scope="session")
def wheel(once):
    """The wheel, built from a copy of the tracked files: what lies around in the checkout must not help."""

    def build(folder):
        tracked = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
        for name in filter(None, tracked):
            source, target = ROOT / name, folder / "checkout" / name
            if source.is_symlink():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(os.readlink(source))
            elif source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        flags = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
        run([sys.executable, "-m", "pip", "wheel", *flags, "-w", folder, "."], folder / "checkout")

    if not (ROOT / ".git").exists():
        pytest.skip("the wheel is built from the files that git tracks, and this is no git checkout")
    return next(once("wheel", build).glob("*.whl"))


def environment(folder, wheel, dependencies):
    """A virtual environment with the wheel in it; its dependencies are those of a list of folders."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    place = run([python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], folder).strip()
    # Python searches the paths of a .pth file after the environment's own packages. It does not read the .pth
    # files that lie there, so an editable installation of this checkout stays invisible.
    (Path(place) / "dependencies.pth").write_text("\n".join(dependencies) + "\n")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    run([*pip, "--no-deps", "--no-index", wheel], folder)
    return folder / "bin"


def dependencies():
    """Folders with the packages that this process uses, without any that holds urfr_tf itself."""
    folders = {*sysconfig.get_paths().values(), *sys.path}
    packages = [f for f in map(Path, folders) if f.name in ("site-packages", "dist-packages")]
    return [str(folder) for folder in packages if not (folder / "urfr_tf").exists()]


def test_the_wheel_holds_presets_and_tables(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    presets = {str(p.relative_to(ROOT)) for p in (ROOT / "configs").rglob("*.yaml")}
    assert {f"urfr_tf/{preset}" for preset in presets} <= names
    data = ("py.typed", "faces/mean_face.json", "runs/default_threshold.json")
    assert {f"urfr_tf/{name}" for name in data} <= names
    assert not [n for n in names if n.startswith(("tests/", "experiments/", "export/", "configs/"))]


def test_the_wheel_alone_trains_a_preset_and_loads_the_model(wheel, tmp_path, people):
    bin_ = environment(tmp_path / "env", wheel, dependencies())
    home = tmp_path / "elsewhere"
    home.mkdir()
    where = run([bin_ / "python", "-c", "import urfr_tf; print(urfr_tf.__file__)"], home)
    assert Path(where.strip()).is_relative_to(tmp_path / "env")
    listed = run([bin_ / "urfr", "configs"], home)
    assert {"scratch", "paper/table1_3_0"} <= {
        line.split()[0] for line in listed.splitlines() if line.split()
    }
    sets = [
        "data.train=shards",
        "data.validation=''",
        "data.batch_size=8",
        "train.epochs=1",
        "train.steps_per_epoch=2",
        "train.tensorboard=false",
    ]
    prepare = ["prepare", "--source", "folder", "--path", str(people), "--size", "72", "--out", "shards"]
    train = ["train", "--config", "scratch", "--run-dir", "run"]
    train += [word for value in sets for word in ("--set", value)]
    code = (
        "import numpy, urfr_tf; from urfr_tf.cli import main\n"
        f"for words in {[prepare, train]}: assert main(words) == 0\n"
        "m = urfr_tf.load('run')\n"
        "out = m(numpy.zeros([1, m.input_size, m.input_size, 3], numpy.uint8))\n"
        "print(round(float(numpy.linalg.norm(out['embedding'])), 5))"
    )
    said = run([bin_ / "python", "-c", code], home)
    assert said.splitlines()[-1] == "1.0"  # an embedding has unit norm


@pytest.mark.slow
def test_the_wheel_installs_from_the_index_into_an_empty_environment(wheel, tmp_path):
    """Downloads TensorFlow. The base alone lists presets and embeds with a .tflite file."""
    python = tmp_path / "env" / "bin" / "python"
    venv.create(tmp_path / "env", with_pip=True)
    run([python, "-m", "pip", "install", "--quiet", wheel], tmp_path)
    packages = run([python, "-m", "pip", "list", "--format=freeze"], tmp_path).splitlines()
    assert not [
        p for p in packages if p.startswith(("tf-models", "tensorflow-addons", "mtcnn", "matplotlib"))
    ]
    assert "scratch" in run([python.with_name("urfr"), "configs"], tmp_path)
    golden = ROOT / "tests" / "runs" / "goldens" / "model.tflite"
    code = (
        "import sys, numpy, urfr_tf; m = urfr_tf.load(sys.argv[1])\n"
        "out = m(numpy.zeros([1, m.input_size, m.input_size, 3], numpy.uint8))\n"
        "print(round(float(numpy.linalg.norm(out['embedding'])), 5))"
    )
    assert run([python, "-c", code, golden], tmp_path).strip() == "1.0"
