import json

import pytest

from urfr_tf.visualize import result_tables, run_tables
from urfr_tf.visualize.cells import Measured
from urfr_tf.visualize.provenance import describe_provenance
from urfr_tf.visualize.sources import read_source


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("tar@far=1e-3", "TAR at FAR 1e-3"),
        ("tar_listed@far=1e-3", "TAR (listed impostors) at FAR 1e-3"),
        ("tpir@fpir=0.01", "TPIR at FPIR 0.01"),
        ("rank1", "Rank 1"),
        ("val_tar@far=1e-3", "Validation TAR at FAR 1e-3"),
        ("accuracy", "Accuracy"),
        ("map", "mAP"),
        ("confidence_mean", "Confidence mean"),
    ],
)
def test_names_of_metrics_become_headings(name, title):
    assert result_tables.format_metric_name(name) == title


def test_the_systems_of_a_run_are_rows_best_first(tmp_path, write_run):
    results, counts = result_tables.make_result_tables([read_source(write_run(tmp_path / "demo"), run=True)])
    assert results.columns == ["System", "Score", "Accuracy", "TAR at FAR 1e-1"]
    assert results.rows == [
        ["trained", "cosine", Measured(0.8, 0.01), Measured(0.75)],
        ["eigenfaces", "cosine", Measured(0.7, 0.01), Measured(0.5)],
        ["untrained", "cosine", Measured(0.6, 0.01), Measured(0.25)],
    ]
    # The first row is the best in both columns of metrics (2 and 3).
    assert results.best == {(0, 2), (0, 3)}
    assert counts.columns == ["Count", "All systems"]
    assert counts.rows == [["Images", 100], ["Genuine", 50], ["Impostor", 500]]


def test_one_table_a_protocol_and_gaps_where_nothing_was_measured(tmp_path, write_evaluation):
    write_evaluation(tmp_path / "a", metrics={"rank1": 0.5}, counts={"probes": 7, "refused_images": {}})
    write_evaluation(tmp_path / "b", metrics={"rank1": 0.6, "rank5": 0.7}, counts={"probes": 8, "seen": [1]})
    write_evaluation(tmp_path / "c", protocol="lfw", counts={})
    first, counts, second = result_tables.make_result_tables([read_source(tmp_path, run=False)])
    assert (first.caption, second.caption) == ("Results, protocol pairs", "Results, protocol lfw")
    assert first.rows == [["b", "cosine", Measured(0.6), Measured(0.7)], ["a", "cosine", Measured(0.5), None]]
    assert counts.columns == ["Count", "b", "a"]
    assert counts.rows == [["Probes", 8, 7], ["Seen", "[1]", None]]
    assert "were not measured on the same" in counts.note


def test_uncertainty_stands_in_the_cell_and_is_explained(tmp_path, write_evaluation):
    write_evaluation(
        tmp_path / "a",
        metrics={"tar@far=1e-2": 0.5, "tar@far=1e-6": 0.1, "odd": 0.2},
        intervals={"tar@far=1e-2": [0.4, 0.6], "odd": ["x", 1]},
        thin=["tar@far=1e-6"],
    )
    table = result_tables.make_result_tables([read_source(tmp_path, run=False)])[0]
    assert table.rows[0][2:] == [
        Measured(0.5, interval=(0.4, 0.6)),
        Measured(0.1, thin=True),
        Measured(0.2),
    ]
    for words in ("95 % bootstrap intervals", "† Thin"):
        assert words in table.note
    assert "standard error" not in table.note


def test_degraded_probes_have_a_table_of_their_own(tmp_path, write_evaluation):
    degraded = {"accuracy@blur=3": 0.8, "accuracy_stderr@blur=3": 0.02, "accuracy@blur=11": 0.6}
    tar = {"tar@far=1e-1": 0.9, "tar@far=1e-1@blur=11": 0.5}
    write_evaluation(tmp_path / "a", metrics={"accuracy": 0.9, **degraded, **tar}, counts={})
    results, table = result_tables.make_result_tables([read_source(tmp_path, run=False)])
    assert results.columns == ["System", "Score", "Accuracy", "TAR at FAR 1e-1"]
    assert table.columns == ["Degradation", "System", "Accuracy", "TAR at FAR 1e-1"]
    assert table.rows == [
        ["blur 3", "a", Measured(0.8, 0.02), None],
        ["blur 11", "a", Measured(0.6), Measured(0.5)],
    ]


def test_lower_errors_are_better(tmp_path, write_evaluation):
    write_evaluation(tmp_path / "a", metrics={"eer": 0.2})
    write_evaluation(tmp_path / "b", metrics={"eer": 0.1})
    table = result_tables.make_result_tables([read_source(tmp_path, run=False)])[0]
    assert [row[0] for row in table.rows] == ["b", "a"] and table.best == {(0, 2)}


def test_a_copy_of_a_result_is_one_system(tmp_path, write_run):
    run = write_run(tmp_path / "demo")
    (run / "metrics.json").write_text((run / "evaluation" / "trained" / "metrics.json").read_text())
    names = [name for name, _ in result_tables.list_systems([read_source(run, run=True)])]
    assert names == ["trained", "eigenfaces", "untrained"]


def test_two_runs_side_by_side(tmp_path, write_run):
    sources = [
        read_source(write_run(tmp_path / name, margin=m), run=True) for name, m in (("a", 8), ("b", 12))
    ]
    assert [name for name, _ in result_tables.list_systems(sources)] == [
        f"{run}: {system}" for run in "ab" for system in ("trained", "eigenfaces", "untrained")
    ]
    difference = run_tables.make_difference_table(sources)
    assert difference.columns == ["Setting", "a", "b"] and difference.rows == [["loss.margin", "8", "12"]]
    facts = run_tables.make_facts_table(sources)
    assert ["versions.keras", "2.15.0", "2.15.0"] in facts.rows
    assert not any(row[0] == "command" for row in facts.rows)


def test_runs_of_one_configuration_say_so(tmp_path, write_run):
    sources = [read_source(write_run(tmp_path / name), run=True) for name in "ab"]
    table = run_tables.make_difference_table(sources)
    assert table.rows == [] and table.note == "Every setting is the same."


@pytest.mark.parametrize(
    ("config", "sentence"), [("a: &x [1]\nb: *x\n", "aliases"), ("a: [", "does not parse"), ("- 1\n", None)]
)
def test_odd_configurations_are_said(tmp_path, write_run, config, sentence):
    sources = [read_source(write_run(tmp_path / name), run=True) for name in "ab"]
    sources[1].config = config
    run_tables.make_difference_table(sources)
    assert [sentence in line for line in sources[1].missing] == ([True] if sentence else [])


def test_the_training_table_has_the_first_and_the_last_epoch(tmp_path, write_run):
    table = run_tables.make_training_table(read_source(write_run(tmp_path / "demo", epochs=30), run=True))
    assert len(table.rows) == 12
    # Epoch, step, loss = 10 / epoch.
    assert table.rows[0][:3] == [1, 20, 10.0] and table.rows[-1][:3] == [30, 600, pytest.approx(1 / 3)]
    assert table.note.startswith("12 of the 30 rows") and "2 columns of single" in table.note
    assert "Confidence mean 0" not in table.columns


def test_a_short_training_is_shown_whole(tmp_path, write_run):
    table = run_tables.make_training_table(read_source(write_run(tmp_path / "demo", epochs=2), run=True))
    assert [row[0] for row in table.rows] == [1, 2] and "rows" not in table.note


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (None, "was not checked (urfr import --check); its"),
        (
            {"photographs": 80, "people": 20, "verdict": "fine"},
            "checked with 80 photographs of 20 people: fine; its",
        ),
    ],
)
def test_an_imported_run_says_how_it_was_imported(tmp_path, write_run, check, words):
    run = write_run(tmp_path / "run")
    facts = {"file": "net.pth", "channels": "bgr", "pixels": "0..1"} | ({"check": check} if check else {})
    (run / "run.json").write_text(json.dumps({"imported": facts}))
    text = describe_provenance([read_source(run, run=True)], "")[0].text
    assert "Imported into" in text and "from net.pth, channels bgr, pixels 0..1; " in text
    assert words in text


def test_notes_name_the_commands_and_the_gaps(tmp_path, write_run, write_evaluation):
    run = write_run(tmp_path / "my run")
    (run / "run.json").unlink()
    write_evaluation(
        run / "evaluation" / "odd",
        command=["urfr", "evaluate", "--data", "a b"],
        threshold=None,
        refused={"tar@far=1e-6": "too few"},
        note="Measured at night.",
    )
    calibration = [{"far": 0.01, "threshold": 0.7, "far_reached": 0.013}]
    write_evaluation(run / "evaluation" / "sure", threshold=0.7, calibration=calibration)
    notes = describe_provenance([read_source(run, run=True)], "urfr report --run 'my run'")
    by_heading = {note.heading: note for note in notes}
    assert "does not name the command" in by_heading["The run my run"].text
    assert by_heading["trained, protocol pairs"].command == "urfr evaluate --model trained --protocol pairs"
    assert by_heading["odd, protocol pairs"].command == "urfr evaluate --data 'a b'"
    odd = by_heading["odd, protocol pairs"].text
    for words in (
        "no threshold was calibrated",
        "Left out, because there are too few impostors: tar@far=1e-6.",
        "at night.",
    ):
        assert words in odd
    sure = by_heading["sure, protocol pairs"].text
    assert "threshold 0.7, chosen for FAR 0.01 and reaching FAR 0.013 on held-out people" in sure
    assert by_heading["This report"].command == "urfr report --run 'my run'"
    assert "run.json" in by_heading["What is missing"].text
