import pytest

from urfr_tf.visualize import compose
from urfr_tf.visualize.page import Measured
from urfr_tf.visualize.sources import read_source


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("tar@far=1e-3", "TAR at FAR 1e-3"),
        ("tpir@fpir=0.01", "TPIR at FPIR 0.01"),
        ("rank1", "Rank 1"),
        ("accuracy", "Accuracy"),
        ("map", "mAP"),
        ("confidence_mean", "Confidence mean"),
    ],
)
def test_names_of_metrics_become_headings(name, title):
    assert compose.metric_title(name) == title


def test_the_systems_of_a_run_are_rows_best_first(tmp_path, write_run):
    (table,) = compose.result_tables([read_source(write_run(tmp_path / "demo"), run=True)])
    assert table.columns == [
        "System", "Score", "Accuracy", "TAR at FAR 1e-1", "Images", "Genuine", "Impostor",
    ]  # fmt: skip
    assert table.rows == [
        ["trained", "cosine", Measured(0.8, 0.01), 0.75, 100, 50, 500],
        ["eigenfaces", "cosine", Measured(0.7, 0.01), 0.5, 100, 50, 500],
        ["untrained", "cosine", Measured(0.6, 0.01), 0.25, 100, 50, 500],
    ]
    # The first row is the best in both columns of metrics (2 and 3).
    assert table.best == {(0, 2), (0, 3)}
    assert "differ" not in table.note


def test_one_table_a_protocol_and_gaps_where_nothing_was_measured(tmp_path, write_evaluation):
    write_evaluation(tmp_path / "a", metrics={"rank1": 0.5}, counts={"probes": 7})
    write_evaluation(tmp_path / "b", metrics={"rank1": 0.6, "rank5": 0.7}, counts={"probes": 8})
    write_evaluation(tmp_path / "c", protocol="lfw")
    first, second = compose.result_tables([read_source(tmp_path, run=False)])
    assert (first.caption, second.caption) == ("Results, protocol pairs", "Results, protocol lfw")
    assert first.rows == [["b", "cosine", 0.6, 0.7, 8], ["a", "cosine", 0.5, None, 7]]
    assert "counts differ" in first.note


def test_lower_errors_are_better(tmp_path, write_evaluation):
    write_evaluation(tmp_path / "a", metrics={"eer": 0.2})
    write_evaluation(tmp_path / "b", metrics={"eer": 0.1})
    (table,) = compose.result_tables([read_source(tmp_path, run=False)])
    assert [row[0] for row in table.rows] == ["b", "a"] and table.best == {(0, 2)}


def test_a_copy_of_a_result_is_one_system(tmp_path, write_run):
    run = write_run(tmp_path / "demo")
    (run / "metrics.json").write_text((run / "evaluation" / "trained" / "metrics.json").read_text())
    names = [name for name, _ in compose.systems([read_source(run, run=True)])]
    assert names == ["trained", "eigenfaces", "untrained"]


def test_two_runs_side_by_side(tmp_path, write_run):
    sources = [
        read_source(write_run(tmp_path / name, margin=m), run=True) for name, m in (("a", 8), ("b", 12))
    ]
    assert [name for name, _ in compose.systems(sources)] == [
        f"{run}: {system}" for run in "ab" for system in ("trained", "eigenfaces", "untrained")
    ]
    difference = compose.difference_table(sources)
    assert difference.columns == ["Setting", "a", "b"] and difference.rows == [["loss.margin", "8", "12"]]
    facts = compose.facts_table(sources)
    assert ["versions.keras", "2.15.0", "2.15.0"] in facts.rows
    assert not any(row[0] == "command" for row in facts.rows)


def test_runs_of_one_configuration_say_so(tmp_path, write_run):
    sources = [read_source(write_run(tmp_path / name), run=True) for name in "ab"]
    table = compose.difference_table(sources)
    assert table.rows == [] and table.note == "Every setting is the same."


@pytest.mark.parametrize(
    ("config", "sentence"), [("a: &x [1]\nb: *x\n", "aliases"), ("a: [", "does not parse"), ("- 1\n", None)]
)
def test_odd_configurations_are_said(tmp_path, write_run, config, sentence):
    sources = [read_source(write_run(tmp_path / name), run=True) for name in "ab"]
    sources[1].config = config
    compose.difference_table(sources)
    assert [sentence in line for line in sources[1].missing] == ([True] if sentence else [])


def test_the_training_table_has_the_first_and_the_last_epoch(tmp_path, write_run):
    table = compose.training_table(read_source(write_run(tmp_path / "demo", epochs=30), run=True))
    assert len(table.rows) == 12
    # Epoch, step, loss = 10 / epoch.
    assert table.rows[0][:3] == [1, 20, 10.0] and table.rows[-1][:3] == [30, 600, pytest.approx(1 / 3)]
    assert table.note.startswith("12 of the 30 rows") and "2 columns of single" in table.note
    assert "Confidence mean 0" not in table.columns


def test_a_short_training_is_shown_whole(tmp_path, write_run):
    table = compose.training_table(read_source(write_run(tmp_path / "demo", epochs=2), run=True))
    assert [row[0] for row in table.rows] == [1, 2] and "rows" not in table.note


def test_notes_name_the_commands_and_the_gaps(tmp_path, write_run, write_evaluation):
    run = write_run(tmp_path / "my run")
    (run / "run.json").unlink()
    write_evaluation(
        run / "evaluation" / "odd", command=["urfr", "evaluate", "--data", "a b"], threshold=None
    )
    notes = compose.notes([read_source(run, run=True)], "urfr report --run 'my run'")
    by_heading = {note.heading: note for note in notes}
    assert "names no command" in by_heading["The run my run"].text
    assert by_heading["trained, protocol pairs"].command == "urfr evaluate --model trained --protocol pairs"
    assert by_heading["odd, protocol pairs"].command == "urfr evaluate --data 'a b'"
    assert "no threshold" in by_heading["odd, protocol pairs"].text
    assert by_heading["This report"].command == "urfr report --run 'my run'"
    assert "run.json" in by_heading["What is missing"].text
