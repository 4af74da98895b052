import numpy as np
import pytest

from urfr_tf.visualize import source_pictures
from urfr_tf.visualize.sources import read_source, read_sources


@pytest.fixture
def systems_of(tmp_path, write_evaluation):
    """Writes evaluations, and gives the pictures of them by caption."""

    def draw(**systems):
        for name, changes in systems.items():
            write_evaluation(tmp_path / name, **changes)
        return {
            p.caption: p for p in source_pictures.draw_result_pictures([read_source(tmp_path, run=False)])
        }

    return draw


def test_one_roc_for_all_systems_and_a_histogram_for_each(systems_of):
    drawn = systems_of(trained={"shift": 3.0}, untrained={"shift": 1.0})
    assert list(drawn) == [
        "ROC, protocol pairs",
        "DET, protocol pairs",
        "Scores of trained, protocol pairs",
        "Scores of untrained, protocol pairs",
    ]
    lines = {line.get_label(): line for line in drawn["ROC, protocol pairs"].figure.axes[0].lines}
    assert set(lines) == {"trained", "untrained"}


def test_the_words_give_the_tar_that_the_line_has(tmp_path, systems_of):
    drawn = systems_of(trained={"shift": 2.0})
    with np.load(tmp_path / "trained" / "scores.npz") as arrays:
        scores, same = arrays["scores"], arrays["same"]
    # At FAR 0.1 of 500 impostors, 50 are let through: the threshold is the 50th largest.
    threshold = np.sort(scores[~same])[::-1][49]
    tar = np.mean(scores[same] >= threshold)
    assert f"At FAR 0.1: trained {tar:.3f}." in drawn["ROC, protocol pairs"].alt
    assert f"At FAR 0.1: trained {1 - tar:.3f}." in drawn["DET, protocol pairs"].alt


def test_pairs_without_an_embedding_count_but_are_not_drawn(tmp_path, write_evaluation):
    folder = write_evaluation(tmp_path / "a")
    # Two genuine pairs, one without an embedding: TAR can reach 1/2 and no more.
    scores, same = np.array([0.9, -np.inf, 0.1, 0.2]), np.array([True, True, False, False])
    np.savez(folder / "scores.npz", scores=scores, same=same)
    drawn = source_pictures.draw_result_pictures([read_source(folder, run=False)])
    assert "At FAR 0.1: a 0.500" in drawn[0].alt
    assert "(1 pairs without an embedding are not drawn)" in drawn[2].caption


def test_ranks_become_a_cmc(systems_of):
    drawn = systems_of(
        a={"metrics": {"rank10": 0.9, "rank1": 0.5, "tpir@fpir=0.1": 0.3}, "scores": False},
        b={"metrics": {"rank1": 0.4}, "scores": False},
    )
    (picture,) = drawn.values()
    (line,) = picture.figure.axes[0].lines
    assert line.get_label() == "a", "one rank is a point, not a curve"
    assert line.get_xdata().tolist() == [1, 10] and line.get_ydata().tolist() == [0.5, 0.9]


def test_a_whole_cmc_is_drawn_where_it_was_kept(tmp_path, write_evaluation):
    folder = write_evaluation(tmp_path / "a", metrics={"rank1": 0.5}, scores=False)
    np.savez(folder / "scores.npz", cmc=np.array([0.5, 0.6, 0.8]), booking_cmc=np.array([0.7, 0.9]))
    (picture,) = source_pictures.draw_result_pictures([read_source(folder, run=False)])
    lines = {line.get_label(): line.get_ydata().tolist() for line in picture.figure.axes[0].lines}
    assert lines == {"a": [0.5, 0.6, 0.8], "a booking": [0.7, 0.9]}


def test_degraded_probes_become_a_curve_for_each_variation(systems_of):
    metrics = {"accuracy": 0.9, "accuracy@blur=3": 0.8, "accuracy@blur=11": 0.6, "rank1@blur=3": 0.1}
    pixels = {"accuracy@resolution=64": 0.85, "accuracy@resolution=16": 0.55}
    drawn = systems_of(a={"metrics": {**metrics, **pixels}, "scores": False})
    assert list(drawn) == ["Accuracy under blur, protocol pairs", "Accuracy under resolution, protocol pairs"]
    blur, resolution = (picture.figure.axes[0] for picture in drawn.values())
    assert blur.lines[0].get_xdata().tolist() == [3, 11] and blur.lines[0].get_ydata().tolist() == [0.8, 0.6]
    assert set(blur.lines[1].get_ydata()) == {0.9}, "the level without blur"
    # Strength grows to the right: 64 pixels stand left of 16.
    assert resolution.get_xlim()[0] > resolution.get_xlim()[1]
    assert "Lowest: a 0.600." in drawn["Accuracy under blur, protocol pairs"].alt


def test_training_pictures_of_two_runs(tmp_path, write_run):
    sources = [read_source(write_run(tmp_path / name, scores=False), run=True) for name in "ab"]
    captions = [picture.caption for picture in source_pictures.draw_training_pictures(sources)]
    assert captions == [
        "Training: loss",
        "Training: confidence",
        "Training: margin",
        "Training: learning rate",
        "Training: validation",
        "Training: confidence mean of each",
    ]


def test_nothing_to_draw_is_no_picture(tmp_path, write_evaluation):
    source = read_source(write_evaluation(tmp_path / "a", scores=False), run=False)
    assert source_pictures.draw_sources([source]) == []


def test_files_are_named_after_their_captions(tmp_path, write_evaluation):
    drawn = source_pictures.draw_sources([read_source(write_evaluation(tmp_path / "a b"), run=False)])
    paths = source_pictures.write_pngs(tmp_path / "png", drawn)
    assert [path.name for path in paths] == [
        "01-roc-protocol-pairs.png",
        "02-det-protocol-pairs.png",
        "03-scores-of-a-b-protocol-pairs.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_reject_curves_of_pairs_and_of_templates(tmp_path, write_evaluation):
    curve = {"far": 0.01, "rejected": [0, 0.5], "by_confidence": [0.4, 0.1], "by_norm": [0.4, None]}
    write_evaluation(tmp_path / "a", reject=curve)
    write_evaluation(tmp_path / "b", reject={"rank 1": {**curve, "far": None}, "odd": 3})
    write_evaluation(tmp_path / "c", reject={**curve, "by_confidence": [0.4], "by_norm": ["x", 1]})
    sources = read_sources([str(tmp_path / name) for name in "abc"], run=False)
    drawn = [
        picture
        for picture in source_pictures.draw_sources(sources)
        if picture.caption.startswith("Error against reject")
    ]
    assert ["of a, protocol" in drawn[0].caption, "of b, rank 1, protocol" in drawn[1].caption] == [True] * 2
    assert len(drawn) == 2 and "by confidence 0.100; by norm nothing left" in drawn[0].alt
    assert "rank 1" in drawn[1].figure.axes[0].get_title(loc="left")
