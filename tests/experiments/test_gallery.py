"""LFW as a gallery: who is enrolled, and the figures of the page from answers that are worked out by hand."""

import json

import numpy as np
import pytest


@pytest.fixture
def lfw(tmp_path):
    """Five people with 1, 1, 2, 3 and 5 photographs."""
    for name, count in (("A", 1), ("B", 1), ("C", 2), ("D", 3), ("E", 5)):
        (tmp_path / "lfw" / name).mkdir(parents=True)
        for number in range(1, count + 1):
            (tmp_path / "lfw" / name / f"{name}_{number:04}.jpg").touch()
    return tmp_path


def names(paths):
    return [path.rpartition("/")[2].removesuffix(".jpg") for path in paths]


def test_who_is_enrolled(lfw):
    from experiments.gallery.split import link_photographs, make_split, unpack

    split = make_split(unpack(lfw, lfw / "work"))
    assert names(split.unknown) == ["A_0001", "B_0001"]
    assert names(split.one) == ["C_0001", "D_0001", "E_0001"]
    assert names(split.three) == ["C_0001", "D_0001", "E_0001", "E_0002", "E_0003"]
    assert names(split.probes) == ["C_0002", "D_0002", "D_0003", "E_0002", "E_0003", "E_0004", "E_0005"]
    # Probes for both galleries are enrolled in neither.
    assert names(split.later) == ["E_0004", "E_0005"]
    link_photographs(split, lfw / "sets")
    assert (lfw / "sets/three/E/E_0003.jpg").resolve() == (lfw / "lfw/E/E_0003.jpg").resolve()


def write_answers(path, answers):
    """(path, best candidate, score), or a photograph without a face."""
    listed = [
        {
            "path": photograph,
            "faces": [{"candidates": [{"person": best[0], "score": best[1]}]}] if best else [],
        }
        for photograph, best in answers
    ]
    path.write_text(json.dumps(listed))
    return path


def test_figures(tmp_path):
    from experiments.gallery import page

    # Right at 9, right at 5, somebody else at 8, and a photograph without a face.
    probes = page.read_answers(
        write_answers(
            tmp_path / "probes.json",
            [
                ("C/C_0002.jpg", ("C", 9.0)),
                ("C/C_0003.jpg", ("C", 5.0)),
                ("D/D_0002.jpg", ("E", 8.0)),
                ("D/D_0003.jpg", None),
            ],
        )
    )
    unknown = page.read_answers(
        write_answers(tmp_path / "unknown.json", [(f"X{n}/X.jpg", ("C", float(n))) for n in range(10)])
    )
    assert page.measure(probes, unknown, None) == 0.5
    # A tenth of ten strangers reaches 9, three tenths reach 7, half reach 5.
    assert [page.measure(probes, unknown, fpir) for fpir in (0.1, 0.3, 0.5)] == [0.25, 0.25, 0.5]
    low, high = page.interval(probes, unknown, None)
    # Two people: a resample has the one whose probes are all right, the other, or both.
    assert (low, high) == (0.0, 1.0)
    kept = page.read_answers(tmp_path / "probes.json", {"C/C_0002"})
    assert kept.people == ["C"] and kept.right.tolist() == [True]
    np.testing.assert_array_equal(kept.best, [9.0])
