"""`urfr report` on synthetic runs: what it reads, where it writes, what it says."""

import argparse
import re
import subprocess
import sys

import pytest

from urfr_tf.commands import report
from urfr_tf.errors import UrfrError


@pytest.fixture
def urfr_report():
    """Runs the command with these arguments."""

    def run(*arguments):
        parser = argparse.ArgumentParser()
        report.arguments(parser)
        return report.run(parser.parse_args([str(argument) for argument in arguments]))

    return run


def text_of(path):
    """The page without the marks that only say where a line may break."""
    return re.sub(r"<wbr>|</?span[^>]*>", "", path.read_text(encoding="utf-8"))


def test_a_run_gets_its_report(tmp_path, write_run, urfr_report, capsys):
    run = write_run(tmp_path / "demo")
    assert urfr_report("--run", run) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    page = text_of(run / "report.html")
    for caption in ("Results, protocol pairs", "Training of demo, by epoch", "What ran", "Scores of trained"):
        assert caption in page
    assert f"urfr report --run {run} --out {run / 'report.html'}" in page
    assert "What is missing" not in page


def test_two_runs_side_by_side(tmp_path, write_run, urfr_report, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(tmp_path / "a", margin=8, scores=False)
    write_run(tmp_path / "b", margin=12, scores=False)
    urfr_report("--run", "a", "b", "--title", "Margins <8> & 12")
    page = text_of(tmp_path / "comparison.html")
    assert "<h1>Margins &lt;8&gt; &amp; 12</h1>" in page
    for words in ("Settings that differ", "loss.margin", "a: trained", "b: trained"):
        assert words in page


def test_evaluations_side_by_side(tmp_path, write_evaluation, urfr_report):
    first, second = write_evaluation(tmp_path / "one"), write_evaluation(tmp_path / "two", shift=3.0)
    urfr_report("--eval", first, second, "--out", tmp_path / "out.html")
    page = text_of(tmp_path / "out.html")
    assert page.index('<th scope="row">one</th>') < page.index('<th scope="row">two</th>')
    assert "config.yaml" not in page, "an evaluation alone misses no run"


def test_half_a_run_still_gets_a_report_that_says_what_is_missing(tmp_path, urfr_report):
    (tmp_path / "config.yaml").write_text("a: <b>\n")
    urfr_report("--run", tmp_path)
    page = text_of(tmp_path / "report.html")
    assert "There is no table." in page and "There is no picture." in page
    assert "nothing was evaluated yet" in page and "a: &lt;b&gt;" in page


def test_a_folder_with_nothing_is_a_sentence_and_leaves_nothing(tmp_path, urfr_report):
    with pytest.raises(UrfrError, match="nothing there can be shown"):
        urfr_report("--run", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_report_again_replaces_the_old_one_with_the_same_bytes(tmp_path, write_evaluation, urfr_report):
    folder = write_evaluation(tmp_path / "lfw")
    urfr_report("--eval", folder)
    first = (folder / "report.html").read_bytes()
    urfr_report("--eval", folder)
    assert b"data:image/png" in first and (folder / "report.html").read_bytes() == first


@pytest.mark.parametrize("arguments", [[], ["--run", "a", "--eval", "b"], ["--run"]])
def test_wrong_usage_exits_with_2(urfr_report, arguments):
    with pytest.raises(SystemExit) as stopped:
        urfr_report(*arguments)
    assert stopped.value.code == 2


def test_the_module_alone_imports_nothing_heavy():
    code = (
        "import sys, urfr_tf.commands.report; "
        "print([name for name in ('tensorflow', 'numpy', 'matplotlib', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_runs_of_one_name_are_told_apart(tmp_path, write_evaluation, urfr_report, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("x/demo", "y/demo"):
        write_evaluation(tmp_path / folder / "trained", scores=False)
    urfr_report("--eval", "x/demo", "y/demo")
    page = text_of(tmp_path / "comparison.html")
    assert "x/demo: trained</th>" in page and "y/demo: trained</th>" in page


def test_pictures_as_files(tmp_path, write_evaluation, urfr_report):
    urfr_report("--eval", write_evaluation(tmp_path / "b c"), "--png", tmp_path / "png")
    (path,) = [path for path in (tmp_path / "png").iterdir() if "scores-of-b-c" in path.name]
    assert path.read_bytes().startswith(b"\x89PNG")


def test_images_need_a_model(tmp_path, write_evaluation, urfr_report):
    folder = write_evaluation(tmp_path / "a")
    with pytest.raises(UrfrError, match="--data needs --run"):
        urfr_report("--eval", folder, "--data", tmp_path)
    with pytest.raises(UrfrError, match="--projector needs --data and one --run"):
        urfr_report("--run", folder, "--projector", tmp_path)
    with pytest.raises(UrfrError, match="at least 2 images"):
        urfr_report("--eval", folder, "--images", 1)
    assert not (folder / "report.html").exists()


def test_the_pictures_for_tensorboard_are_those_of_the_page(tmp_path, write_evaluation, urfr_report):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    urfr_report("--eval", write_evaluation(tmp_path / "b c"), "--tensorboard", tmp_path / "events")
    events = EventAccumulator(str(tmp_path / "events"), size_guidance={"tensors": 0})
    events.Reload()
    tags = events.Tags()["tensors"]
    assert any(tag.startswith("Scores of b c") for tag in tags) and any(tag.startswith("ROC") for tag in tags)
    width, height, content = events.Tensors(tags[0])[0].tensor_proto.string_val
    assert content.startswith(b"\x89PNG") and int(width) > 100 and int(height) > 100
    (tmp_path / "file").write_text("")
    with pytest.raises(UrfrError, match="TensorBoard"):
        urfr_report("--eval", tmp_path / "b c", "--tensorboard", tmp_path / "file")
