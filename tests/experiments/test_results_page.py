"""The results page from made-up metrics files: every number is derived, nothing else gets onto it."""

import json
import re

import numpy as np
import pytest

from experiments.finetune.page import write as write_finetuning
from experiments.reproduce.ablations import write as write_causes
from experiments.reproduce.captions import heaped
from experiments.reproduce.collect import FAILS, HOLDS, MIXED, NOT_RUN, Evaluations, judge, times
from experiments.reproduce.page import write
from experiments.reproduce.paper import STATEMENTS, TABLE1, TABLE2
from urfr_tf.errors import UrfrError

VERSIONS = {"machine": "made-up, 2 cores", "tensorflow": "2.15.1", "keras": "2.15.0", "numpy": "1.26.4"}

COUNTS = {"ijbs": {"s2s/probes": 70, "s2s/gallery": 30}, "lfw": {"genuine": 1500}}


def put(runs, seed, row, test, metrics, thin=(), **arrays):
    folder = runs / "evaluation" / f"seed{seed}" / row / test
    folder.mkdir(parents=True)
    content = {"metrics": metrics, "counts": COUNTS.get(test, {}), "thin": list(thin), "versions": VERSIONS}
    (folder / "metrics.json").write_text(json.dumps(content))
    if arrays:
        np.savez(folder / "scores.npz", **arrays)


@pytest.fixture
def runs(tmp_path):
    """Three seeds of the first two rows of Table 2, two seeds of the third, none of the others."""
    runs = tmp_path / "runs"
    # s2s/rank1: baseline .40 .42 .44 (mean 42.0, deviation 2.0); + VA .50 .50 .56 (mean 52.0, deviation
    # sqrt((4 + 4 + 16) / 2) = 3.46 points); differences +10, +8, +12: holds.
    # s2s/tpir 1 %: + VA .20 each; all .25 and .15: differences +5 and -5: undecided.
    # s2b/rank1: + VA .60 each; all .55 and .50: differences -5 and -10: does not hold.
    for seed, plain, augmented in ((1, 0.40, 0.50), (2, 0.42, 0.50), (3, 0.44, 0.56)):
        put(
            runs, seed, "table2_baseline", "ijbs", {"s2s/rank1": plain},
            **{"s2s/cmc": np.array([plain, 0.9, 1.0])},
        )  # fmt: skip
        metrics = {"s2s/rank1": augmented, "s2s/tpir@fpir=0.01": 0.20, "s2b/rank1": 0.60}
        put(runs, seed, "table2_baseline_va", "ijbs", metrics, thin=["s2s/tpir@fpir=0.01"])
    for seed, tpir, rank in ((1, 0.25, 0.55), (2, 0.15, 0.50)):
        put(runs, seed, "table2_all", "ijbs", {"s2s/tpir@fpir=0.01": tpir, "s2b/rank1": rank})
    put(runs, 1, "table2_baseline", "lfw", {"accuracy": 0.8125, "accuracy@blur=7": 0.75})
    put(
        runs,
        1,
        "table2_baseline",
        "gender",
        {"tar_male": 0.5, "tar_female": 0.6, "far_male": 0.01, "far_female": 0.03},
    )
    (runs / "time.tsv").write_text(
        "began\tjob\tseconds\toutcome\n"
        "2026-01-01T00:00:00Z\tseed1/table2_all/train\t1000.0\tstopped\n"
        "2026-01-01T01:00:00Z\tseed1/table2_all/train\t800.0\tdone\n"
        "2026-01-01T02:00:00Z\tdata/lists\t1800.0\tdone\n"
        "2026-01-01T03:00:00Z\tseed1/ablations/quarter/train\t900.0\tdone\n"
    )
    return runs


@pytest.fixture
def page(runs, tmp_path):
    docs = tmp_path / "docs"
    write("small", runs, docs)
    return (docs / "results/small.md").read_text(encoding="utf-8")


def line(page, *words):
    lines = [each for each in page.splitlines() if all(word in each for word in words)]
    assert len(lines) == 1, lines
    return lines[0]


def section(page, title):
    return page.split(f"## {title}")[1].split("\n## ")[0]


def test_means_and_deviations_stand_above_the_papers_figures(page):
    lines = section(page, "Surveillance to single").splitlines()
    row = next(i for i, each in enumerate(lines) if each.startswith("| Baseline |"))
    assert lines[row].split(" | ")[1] == "42.0 ± 2.0 (3)"
    assert "*47.94* | *55.40* | *59.37* | *25.60* | *36.03*" in lines[row + 1]
    assert lines[row + 2].split(" | ")[1] == "52.0 ± 3.5 (3)"


def test_the_imported_network_stands_first_where_it_was_tested(runs, page, tmp_path):
    assert "imported network" not in page
    metrics = {"s2s/rank1": 0.25, "s2b/rank5": 0.75}
    put(runs, 0, "imported", "ijbs", metrics, **{"s2s/cmc": np.array([0.25, 0.5, 1.0])})
    put(runs, 0, "imported", "lfw", {"accuracy": 0.96875})
    write("small", runs, tmp_path / "docs", "imported")
    text = (tmp_path / "docs/results/small_imported.md").read_text(encoding="utf-8")
    single = section(text, "Surveillance to single")
    first = "| the imported network | 25.0 (1) | not run | not run | not run | not run |"
    assert single.splitlines().index(first) < single.splitlines().index(line(single, "| Baseline |"))
    assert "75.0 (1)" in line(section(text, "Variations in the decorrelation"), "the imported network")
    assert "| 96.9 (1) |" in line(section(text, "LFW and CFP"), "the imported network")
    assert "Of 9 statements: holds 1, does not hold 1, undecided 1, not run 6." in text  # it is in none
    assert "docs/results/figures/small_imported.json" in text and "its author's to say" in text
    assert "docs/results/figures/small.json" in page and "its author's to say" not in page


def test_the_imported_network_alone_has_pictures_without_a_seed(tmp_path):
    put(tmp_path, 0, "imported", "ijbs", {"s2s/rank1": 0.25}, **{"s2s/cmc": np.array([0.25, 0.5, 1.0])})
    write("small", tmp_path, tmp_path / "docs", "imported")
    text = (tmp_path / "docs/results/small_imported.md").read_text(encoding="utf-8")
    assert "as mean over the seeds.\n" in text


def test_lost_frames_stand_beside_the_usual_ones_and_weighted_where_there_are_confidences(runs, tmp_path):
    metrics = {"s2s/rank1": 0.25, "s2b/tpir@fpir=0.1": 0.5}
    put(runs, 1, "table2_all", "ijbs_lost_weighted", metrics)
    put(runs, 1, "table2_baseline_va", "ijbs_lost_norm", {"s2s/rank1": 0.125})
    write("small", runs, tmp_path / "docs")
    lost = section((tmp_path / "docs/results/small.md").read_text(encoding="utf-8"), "Videos with half")
    cells = line(lost, "| all |", "half lost", "`weighted`").split(" | ")[3:]
    assert cells == ["25.0 (1)", *[NOT_RUN] * 4, "50.0 (1) |"]
    assert line(lost, "| Baseline + VA |", "half lost", "by the norm").split(" | ")[3] == "12.5 (1)"
    for row, count in (("Baseline + VA", 4), ("0 + 0", 4), ("all + PA", 6)):
        assert sum(each.startswith(f"| {row} |") for each in lost.splitlines()) == count


def test_what_has_not_run_says_so_and_thin_rates_are_marked(page):
    single = section(page, "Surveillance to single")
    assert line(single, "| all + PA |").count(NOT_RUN) == 5
    assert "20.0 ± 0.0 (3) thin" in line(single, "| Baseline + VA |")
    # Four rows of six figures; only 3 + 3, which is the run of "all", has one of them (S2B rank 1).
    assert section(page, "Variations in the decorrelation").count(NOT_RUN) == 4 * 6 - 1


def test_statements_are_decided_by_the_rule(page):
    lift = line(page, "Augmentation lifts")
    assert "47.94 -> 60.61" in lift
    assert "42.0 ± 2.0 (3) -> 52.0 ± 3.5 (3)" in lift
    assert "+10.0 (seed 1), +8.0 (seed 2), +12.0 (seed 3)" in lift
    # Deviation 2, three seeds, t 4.303 of two degrees: 4.303 * 2 / sqrt(3) = 4.97.
    assert f"| +10.0 ± 5.0 | **{HOLDS}** (3 seeds)" in lift
    # Deviation 7.07 points, two seeds, t 12.706 of one degree: 12.706 * 7.071 / sqrt(2) = 63.53.
    assert "+5.0 (seed 1), -5.0 (seed 2) | +0.0 ± 63.5 |" in line(
        page, "lift the open-set", "31.97 -> 37.57", f"**{MIXED}**"
    )
    assert "-5.0 (seed 1), -10.0 (seed 2)" in line(
        page, "lift the booking", "51.27 -> 60.74", f"**{FAILS}** (2 seeds)"
    )
    assert NOT_RUN in line(page, "Aggregation lifts the booking")
    # 9 statements: one of each of the three above, and six without both rows.
    assert f"Of 9 statements: {HOLDS} 1, {FAILS} 1, {MIXED} 1, {NOT_RUN} 6." in page


def test_the_head_tells_how_much_a_test_rests_on(page):
    assert "70 videos of four frames" in page
    assert "among 30 people" in page
    assert "- TinyFace-like: not run." in page


def test_the_time_of_all_attempts_is_added(runs, page):
    # 1,000 + 800 s of training and 1,800 s of lists: 1 hour, half of it training; the ablation is of another
    # page.
    assert times(runs)["seed1/table2_all/train"] == 1800
    assert "1.00 hours, of which training of the rows 0.50" in page
    assert "made-up, 2 cores" in page
    assert line(section(page, "Time"), "| all |") == "| all | 30.0 (1) | not run |"


def test_what_somebody_saw_stands_below_the_pictures_of_the_same_figures_only(runs, tmp_path, capsys):
    notes, page = tmp_path / "docs/results/small/seen.md", tmp_path / "docs/results/small.md"
    write("small", runs, tmp_path / "docs")
    match = re.search(r"no first line of .*seen\.md says `(figures [0-9a-f]{8})`", capsys.readouterr().out)
    notes.write_text(f"Looked at today, {match[1]}.\n\nTwo heaps.\n")
    write("small", runs, tmp_path / "docs")
    assert f"### What is seen in them\n\nLooked at today, {match[1]}.\n\nTwo heaps.\n" in page.read_text()
    # The same figures, kept, from another machine: the sentences are about them as well.
    figures = tmp_path / "docs/results/figures/small.json"
    write("small", tmp_path / "gone", tmp_path / "docs", earlier_figures=figures)
    assert "Two heaps." in page.read_text()
    # A figure more: they are about other pictures.
    put(runs, 4, "table2_all", "lfw", {"accuracy": 0.75})
    write("small", runs, tmp_path / "docs")
    assert "Two heaps." not in page.read_text() and "### What is seen" not in page.read_text()
    assert notes.read_text().endswith("Two heaps.\n")


def test_figures_of_a_machine_that_is_gone_count_beside_those_that_are_here(runs, tmp_path):
    write("small", runs, tmp_path / "there")
    earlier_figures, here = tmp_path / "there/results/figures/small.json", tmp_path / "here"
    # Seed 4 is measured here: .46; .40 .42 .44 were there. Mean .43, deviation sqrt((9+1+1+9)/3) = 2.58
    # points.
    put(here, 4, "table2_baseline", "ijbs", {"s2s/rank1": 0.46})
    (here / "time.tsv").write_text("began\tjob\tseconds\toutcome\nx\tdata/test\t1800.0\tdone\n")
    write("small", here, tmp_path / "both", earlier_figures=earlier_figures)
    page = (tmp_path / "both/results/small.md").read_text(encoding="utf-8")
    assert line(section(page, "Surveillance to single"), "| Baseline |").startswith(
        "| Baseline | 43.0 ± 2.6 (4) |"
    )
    # An hour there, half an hour here.
    assert "1.50 hours, of which training of the rows 0.50" in page
    assert "20.0 ± 0.0 (3) thin" in page
    again = Evaluations(
        tmp_path / "nothing", {}, earlier_figures=tmp_path / "both/results/figures/small.json"
    )
    assert again.seeds == [1, 2, 3, 4]


def test_a_picture_whose_runs_are_elsewhere_stays_with_its_caption(runs, tmp_path):
    values = np.random.default_rng(0).uniform(40, 50, [5, 4])
    put(runs, 2, "table2_all", "pictures", {}, confidence_clean=values, confidence_blur=values - 1)
    docs = tmp_path / "docs"
    write("small", runs, docs)
    picture, earlier_figures = docs / "results/small/confidence.png", docs / "results/figures/small.json"
    drawn, shown = picture.read_bytes(), "row all. Seed 2."
    assert shown in (docs / "results/small.md").read_text(encoding="utf-8")
    write("small", tmp_path / "gone", docs, earlier_figures=earlier_figures)
    write(
        "small", tmp_path / "gone", docs, earlier_figures=earlier_figures
    )  # also from what was kept of what was kept
    assert shown in (docs / "results/small.md").read_text(encoding="utf-8") and picture.read_bytes() == drawn
    # Beside other docs, whose picture may be another one, there is no caption; runs that are there draw their
    # own.
    (tmp_path / "other/results/small").mkdir(parents=True)
    (tmp_path / "other/results/small/confidence.png").write_bytes(b"another")
    write("small", tmp_path / "gone", tmp_path / "other", earlier_figures=earlier_figures)
    assert shown not in (tmp_path / "other/results/small.md").read_text(encoding="utf-8")
    put(tmp_path / "here", 3, "table2_all", "pictures", {}, confidence_clean=values, confidence_blur=values)
    write("small", tmp_path / "here", docs, earlier_figures=earlier_figures)
    text = (docs / "results/small.md").read_text(encoding="utf-8")
    assert shown not in text and "row all. Seed 3." in text and picture.read_bytes() != drawn


def test_what_is_here_takes_the_place_of_what_was_kept(runs, tmp_path):
    write("small", runs, tmp_path / "there")
    put(tmp_path / "here", 1, "table2_baseline", "ijbs", {"s2s/rank1": 0.5})
    earlier_figures = Evaluations(
        tmp_path / "here", {}, earlier_figures=tmp_path / "there/results/figures/small.json"
    )
    assert earlier_figures.spread("table2_baseline", "ijbs", "s2s/rank1").values == {1: 0.5, 2: 0.42, 3: 0.44}


def test_figures_that_are_none_are_refused(tmp_path):
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(UrfrError, match="expected `figures` and `seconds` in .*other.json"):
        Evaluations(tmp_path, {}, earlier_figures=tmp_path / "other.json")


def test_rows_of_one_configuration_share_their_run(runs):
    evaluations = Evaluations(runs, {"table1_3_3": "table2_all"})
    assert evaluations.cell("table1_3_3", "ijbs", "s2b/rank1") == "52.5 ± 3.5 (2)"


def test_a_lower_figure_can_be_the_better_one(tmp_path):
    heap = next(statement for statement in STATEMENTS if statement.lower)
    put(tmp_path, 1, heap.worse, heap.test, {heap.metric: 0.3})
    put(tmp_path, 1, heap.better, heap.test, {heap.metric: 0.1})
    verdict = judge(Evaluations(tmp_path, {}), heap)
    assert verdict.answer == HOLDS
    assert verdict.differences == {1: pytest.approx(0.2)}


def test_no_difference_decides_nothing(tmp_path):
    first = STATEMENTS[0]
    for row in (first.worse, first.better):
        put(tmp_path, 1, row, first.test, {first.metric: 0.5})
    assert judge(Evaluations(tmp_path, {}), first).answer == MIXED


def test_pictures_are_those_that_have_data(page, tmp_path):
    names = sorted(path.name for path in (tmp_path / "docs/results/small").iterdir())
    assert names == ["cmc.png", "robustness.png"]
    assert "(small/cmc.png)" in page
    assert "(small/map.png)" not in page


def test_curves_are_kept_with_the_figures_and_captions_name_their_seeds(runs, page, tmp_path):
    # Seeds 1 to 3 have a CMC and seed 1 alone has LFW. Drawn again from what was kept, with one more seed.
    assert "identified within a rank, as mean over the seeds. Seeds 1, 2, 3.\n" in page
    assert "lines their standard deviation. Seed 1.\n" in page
    earlier_figures, here = tmp_path / "docs/results/figures/small.json", tmp_path / "here"
    assert (
        write("small", here, tmp_path / "again", earlier_figures=earlier_figures)[0].read_text(
            encoding="utf-8"
        )
        == page
    )
    put(here, 4, "table2_baseline", "ijbs", {"s2s/rank1": 0.5}, **{"s2s/cmc": np.array([0.5, 0.75])})
    both = Evaluations(here, {}, earlier_figures=earlier_figures)
    assert [both.curve(seed, "table2_baseline") for seed in (1, 4)] == [[0.4, 0.9, 1.0], [0.5, 0.75]]
    assert both.curve(5, "table2_baseline") == both.curve(1, "table2_baseline_va") == []
    write("small", here, tmp_path / "again", earlier_figures=earlier_figures)
    assert "as mean over the seeds. Seeds 1, 2, 3, 4.\n" in (tmp_path / "again/results/small.md").read_text()


def test_without_any_figure_a_page_that_is_there_stays(page, tmp_path, capsys):
    before = {path: path.read_bytes() for path in (tmp_path / "docs").rglob("*.*")}
    assert write("small", tmp_path / "nothing", tmp_path / "docs") == []
    write_causes(tmp_path / "nothing", tmp_path / "docs")
    assert write_finetuning(tmp_path / "nothing", tmp_path / "docs") == []
    assert {path: path.read_bytes() for path in (tmp_path / "docs").rglob("*.*")} == before
    output = capsys.readouterr().out
    for name in ("results/small", "lab/causes", "results/finetuning"):
        assert f"has been evaluated yet: {tmp_path / 'docs' / name}.md is left as it was\n" in output


def test_the_model_card_compares_men_and_women(page, tmp_path):
    card = (tmp_path / "docs/results/model_card.md").read_text(encoding="utf-8")
    # FAR 3 % against 1 %: three times; both TAR and FAR are higher for women in the one row there is.
    assert line(card, "| Baseline |") == "| Baseline | 50.0 (1) | 60.0 (1) | 1.0 (1) | 3.0 (1) | 3.00 |"
    assert "in 1 of 1 rows" in card


def test_the_same_files_give_the_same_page(runs, page, tmp_path):
    write("small", runs, tmp_path / "again")
    assert (tmp_path / "again/results/small.md").read_text(encoding="utf-8") == page
    assert (tmp_path / "again/results/small/cmc.png").read_bytes() == (
        tmp_path / "docs/results/small/cmc.png"
    ).read_bytes()


def test_the_papers_last_rows_of_both_tables_agree():
    # Table 1, 3 + 3 and Table 2, all + PA: the same network, surveillance to booking, rank 1 and 5.
    assert TABLE1["table1_3_3"][2:] == TABLE2["table2_all_pa"][1][:2]


def test_a_heap_and_near_ones_by_hand():
    # Two people on two axes, two originals each; one augmented image of the second person lies with the
    # first.
    x, y = [1.0, 0.0], [0.0, 1.0]
    embedding = np.array([x, x, y, y, x, x, x, y])
    labels = np.array([0, 0, 1, 1] * 2)
    augmented = np.arange(8) >= 4
    near, heap = heaped(embedding, labels, augmented)
    # Nearest other original: own for three of four. Between people: originals 0; augmented x.x = 1 for the
    # one of the second person's two, so 2 of the 4 pairs are 1: mean 0.5.
    assert near == 0.75
    assert heap == 0.5
