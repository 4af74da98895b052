import json
import zipfile

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.visualize.sources import ReportedEvaluation, read_log, read_scores, read_source


def test_a_run_is_read_whole(tmp_path, write_run):
    source = read_source(write_run(tmp_path / "demo"), run=True)
    assert source.name == "demo" and not source.missing
    assert source.facts["commit"] == "02cea7d" and "margin: 8" in source.config
    assert source.log["epoch"].tolist() == list(range(1, 31))
    assert {e.name: e.metrics["accuracy"] for e in source.evaluations} == {
        "eigenfaces": 0.7,
        "trained": 0.8,
        "untrained": 0.6,
    }
    assert all(e.scores.shape == e.same.shape == (550,) for e in source.evaluations)


def test_systems_of_one_name_keep_their_way(tmp_path, write_evaluation):
    for folder in ("lfw/trained", "cfp/trained", "lfw/untrained"):
        write_evaluation(tmp_path / folder)
    names = {evaluation.name for evaluation in read_source(tmp_path, run=False).evaluations}
    assert names == {"lfw/trained", "cfp/trained", "untrained"}


def test_what_is_missing_is_said(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("a: 1\n")
    (run / "log.csv").write_text("epoch,loss\n")
    said = " ".join(read_source(run, run=True).missing)
    assert f"There is no {run / 'run.json'}." in said
    assert "log.csv holds no epoch yet" in said
    assert "nothing was evaluated yet" in said


def test_an_evaluation_alone_misses_no_run(tmp_path, write_evaluation):
    assert read_source(write_evaluation(tmp_path / "lfw"), run=False).missing == []


def test_a_folder_with_nothing_is_refused(tmp_path):
    with pytest.raises(UrfrError, match="nothing there can be shown"):
        read_source(tmp_path, run=True)
    with pytest.raises(UrfrError, match="is none"):
        read_source(tmp_path / "absent", run=False)


def test_a_line_cut_short_is_dropped_and_said(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,loss,val\n1,3.5,\n2,2.5,0.9\n3,1.")
    missing = []
    log = read_log(path, missing)
    assert log["loss"].tolist() == [3.5, 2.5]
    assert np.isnan(log["val"][0]) and log["val"][1] == 0.9
    assert missing == [f"1 of 3 lines of {path} do not have 3 cells and were dropped."]


def test_columns_of_words_are_left_out(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,note\n1,good\n")
    assert list(read_log(path, [])) == ["epoch"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "does not parse"),
        ("[" * 100_000, "does not parse"),
        ("[1]", "holds a list"),
        ('{"protocol": "x"}', 'an object "metrics"'),
        ('{"metrics": [1]}', 'an object "metrics"'),
    ],
)
def test_mangled_metrics_are_said(tmp_path, write_evaluation, content, sentence):
    write_evaluation(tmp_path / "good")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "metrics.json").write_text(content)
    source = read_source(tmp_path, run=False)
    assert len(source.evaluations) == 1
    assert sentence in source.missing[0] and "bad" in source.missing[0]


def test_metrics_that_are_no_numbers_are_named(tmp_path, write_evaluation):
    write_evaluation(tmp_path / "e", metrics={"accuracy": 0.9, "note": "fine", "ok": True})
    source = read_source(tmp_path, run=False)
    assert source.evaluations[0].metrics == {"accuracy": 0.9}
    assert "note, ok" in source.missing[0]


@pytest.fixture
def said(tmp_path):
    """Writes these arrays, reads them, and gives the sentences and the evaluation."""

    def read(**arrays):
        np.savez(tmp_path / "scores.npz", **arrays)
        missing, evaluation = [], ReportedEvaluation("a", tmp_path, "pairs", "", "", {}, {}, {})
        read_scores(tmp_path / "scores.npz", evaluation, missing)
        return " ".join(missing), evaluation

    return read


BOTH = np.array([True, False])


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"scores": np.ones(2)}, "same is not a file"),
        ({"scores": np.array([{}, []], object), "same": BOTH}, "Object arrays cannot be loaded"),
        ({"scores": np.ones(3), "same": BOTH}, r"shapes (3,) and (2,)"),
        ({"scores": np.array([1, np.nan]), "same": BOTH}, "1 scores are not finite"),
        ({"scores": np.array([1, np.inf]), "same": BOTH}, "1 scores are not finite"),
        ({"scores": np.ones(2), "same": np.ones(2)}, "only one kind"),
        ({"scores": np.array([1, -np.inf]), "same": BOTH}, "only one kind"),
        ({"scores": np.array(["a", "b"]), "same": BOTH}, "could not convert"),
        ({"fold": np.ones(2)}, "scores is not a file"),
        ({"cmc": np.ones((2, 2))}, "finite rates [R] as cmc"),
    ],
)
def test_odd_arrays_are_said_and_never_unpickled(said, arrays, sentence):
    words, evaluation = said(**arrays)
    assert sentence in words
    assert evaluation.scores is None and evaluation.same is None and evaluation.cmc == {}


def test_a_search_alone_needs_no_pairs(said):
    words, evaluation = said(cmc=np.array([0.5, 0.75]))
    assert words == "" and evaluation.scores is None
    assert evaluation.cmc["cmc"].tolist() == [0.5, 0.75]


def test_a_small_file_that_unpacks_to_a_large_one_is_not_read(tmp_path, monkeypatch):
    # Two members of 600,000 zeros: a few kilobytes on the disk, more than the limit of a million in memory.
    monkeypatch.setattr("urfr_tf.visualize.sources.MAX_SCORES_BYTES", 10**6)
    path = tmp_path / "scores.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("scores.npy", "same.npy"):
            archive.writestr(name, bytes(600_000))
    assert path.stat().st_size < 10_000
    missing = []
    read_scores(path, ReportedEvaluation("a", tmp_path, "pairs", "", "", {}, {}, {}), missing)
    assert "unpacks to more than 1000000 bytes" in missing[0]


def test_garbage_instead_of_scores(tmp_path, write_evaluation):
    folder = write_evaluation(tmp_path / "e")
    (folder / "scores.npz").write_bytes(b"not a zip")
    source = read_source(tmp_path, run=False)
    assert source.evaluations[0].scores is None and "scores.npz" in source.missing[0]


def test_a_huge_text_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("urfr_tf.visualize.sources.MAX_TEXT_BYTES", 100)
    (tmp_path / "config.yaml").write_text("a: 1\n")
    (tmp_path / "run.json").write_text(json.dumps({"text": "x" * 200}))
    source = read_source(tmp_path, run=True)
    assert source.facts == {} and any("larger than 100 bytes" in line for line in source.missing)
