"""Images are embedded once, embeddings are stored by content, and refusals are results."""

import itertools

import numpy as np
import pytest

from urfr_tf.cli import build_parser
from urfr_tf.config.tree import SIZED
from urfr_tf.data.cropper import CropSettings
from urfr_tf.data.images import decode_image
from urfr_tf.data.sources.item import Item
from urfr_tf.errors import UrfrError
from urfr_tf.evaluation import degradations as degrade
from urfr_tf.evaluation import embedding as module
from urfr_tf.evaluation.degradations import STRENGTHS, UNSEEN, Degradation, read_degradations
from urfr_tf.evaluation.embedding import embed_images
from urfr_tf.evaluation.scoring import Faces, make_faces, score_matrix, score_pairs
from urfr_tf.protocols.pairs import PER_PERSON, open_pairs
from urfr_tf.protocols.protocol import Images
from urfr_tf.visualize.degraded_metrics import UNITS

SETTINGS = CropSettings(size=40, lossless=True)


@pytest.fixture
def images(crowd):
    return open_pairs(str(crowd)).images


def test_embeds_in_order_with_unit_groups(images, pixel_model):
    faces, refused = embed_images(pixel_model, images, SETTINGS)
    assert faces.embedding.shape == (96, 4, 12) and faces.found.all() and not refused
    np.testing.assert_allclose(np.linalg.norm(faces.embedding, axis=2), 1, atol=1e-5)
    first = next(images.stream())
    alone, _ = embed_images(pixel_model, Images(1, lambda: iter([first])), SETTINGS)
    np.testing.assert_array_equal(alone.embedding[0], faces.embedding[0])


def test_kept_pieces_are_not_embedded_again(images, pixel_model, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PIECE", 40)
    seen = []
    faces, _ = embed_images(pixel_model, images, SETTINGS, tmp_path, on_progress=seen.append)
    assert pixel_model.images == 96 and seen == [40, 40, 16] and len(list(tmp_path.iterdir())) == 3
    again, _ = embed_images(pixel_model, images, SETTINGS, tmp_path)
    assert pixel_model.images == 96
    for one, other in zip(faces, again, strict=True):
        np.testing.assert_array_equal(one, other)
    # A torn piece is embedded again; so is everything for another model or other crops.
    next(tmp_path.iterdir()).write_bytes(b"PK\x03\x04 torn")
    embed_images(pixel_model, images, SETTINGS, tmp_path)
    assert 96 < pixel_model.images <= 136
    before = pixel_model.images
    embed_images(pixel_model, images, CropSettings(size=36, lossless=True), tmp_path)
    pixel_model.fingerprint = "another"
    embed_images(pixel_model, images, SETTINGS, tmp_path)
    assert pixel_model.images == before + 2 * 96


def test_the_norm_is_kept_where_the_model_gives_it(images, pixel_model, tmp_path):
    def embed_pixels(pixels):
        outputs = pixel_model(pixels)
        return {**outputs, "norm": outputs["confidence"][:, 0]}

    assert np.isnan(embed_images(pixel_model, images, SETTINGS)[0].norm).all()
    pixel_model.embed_pixels = embed_pixels
    once, again = (embed_images(pixel_model, images, SETTINGS, tmp_path)[0] for _ in range(2))
    np.testing.assert_allclose(once.norm, 1 / once.variance[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(once.norm, again.norm)


def test_an_interrupted_run_goes_on_with_its_pieces(images, pixel_model, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PIECE", 40)
    stop = itertools.count()

    def interrupt(_):
        if next(stop) == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_images(pixel_model, images, SETTINGS, tmp_path, on_progress=interrupt)
    assert pixel_model.images == 80
    embed_images(pixel_model, images, SETTINGS, tmp_path)
    assert pixel_model.images == 96


def test_what_cannot_be_read_is_not_found(crowd, pixel_model, tmp_path):
    good = [*open_pairs(str(crowd)).images.stream()][:2]
    items = [
        good[0],
        Item("x", "t.jpg", content=b"text"),
        Item("x", "gone", file=str(tmp_path / "gone")),
        good[1],
    ]
    for _ in range(2):  # the second time from the cache
        faces, refused = embed_images(pixel_model, Images(4, lambda: iter(items)), SETTINGS, tmp_path)
        assert faces.found.tolist() == [True, False, False, True]
        assert sum(refused.values()) == 2
        # -inf against everybody, whatever the score; itself included.
        for score in ("cosine", "likelihood"):
            scores = score_pairs(faces, np.array([0, 0, 1]), np.array([3, 1, 1]), score)
            assert np.isfinite(scores[0]) and (scores[1:] == -np.inf).all()
            assert (
                np.isfinite(score_matrix(faces, faces, score)) == np.outer(faces.found, faces.found)
            ).all()


def test_nothing_embedded_and_changed_data_are_sentences(pixel_model, images):
    bad = Images(1, lambda: iter([Item("x", "t.jpg", content=b"text")]))
    with pytest.raises(UrfrError, match=r"none of the 1 images could be embedded .for instance"):
        embed_images(pixel_model, bad, SETTINGS)
    for count, what in ((95, "got more"), (97, "got 96")):
        with pytest.raises(UrfrError, match=what):
            embed_images(pixel_model, Images(count, images.stream), SETTINGS)


def test_nan_embeddings_are_a_sentence():
    with pytest.raises(UrfrError, match=r"NaN or infinity for image 1 .1 in all"):
        make_faces(np.array([[1, 0], [np.nan, 0]]), None)
    # Where nothing was found it does not matter what the row holds.
    assert make_faces(np.array([[1, 0], [np.nan, 0]]), None, np.array([True, False])).found.sum() == 1
    with pytest.raises(UrfrError, match=r"\[N, D\] and variances \[N, K\]"):
        make_faces(np.ones((3, 4)), np.ones((2, 4)))
    with pytest.raises(UrfrError, match="D to be a multiple of K"):
        make_faces(np.ones((3, 4)), np.ones((3, 3)))


def test_probes_are_the_second_image_of_a_pair():
    # Clean faces point along x, probes along y: 0 . 1 is cos(x, y) = 0, and never cos(x, x) = 1.
    clean = Faces(
        np.tile([[[1.0, 0.0]]], (2, 1, 1)).astype(np.float32),
        np.ones((2, 1), np.float32),
        np.ones(2, bool),
        np.ones(2, np.float32),
    )
    probes = Faces(clean.embedding[..., ::-1].copy(), clean.variance, np.array([True, False]), clean.norm)
    scores = score_pairs(clean, np.array([0, 1]), np.array([0, 1]), "cosine", probes)
    assert scores[0] == 0 and scores[1] == -np.inf


@pytest.mark.parametrize("variation", [*STRENGTHS, *UNSEEN])
def test_degradations_change_more_with_their_strength(variation):
    # Smooth random faces; what a strength does to them is the mean absolute change of a pixel.
    import cv2

    random = np.random.default_rng(0)
    count = 3 if variation == "pose" else 6  # turning a head costs the most
    grids = random.uniform(60, 255, [count, 9, 9, 3])
    images = np.stack([cv2.resize(grid, (64, 64), interpolation=cv2.INTER_CUBIC) for grid in grids]).clip(
        1, 255
    )
    unknown, numbers = np.full((count, 10), -1, np.float32), np.arange(count)
    changes = []
    few = {"pose": slice(None, None, 3), "gamma": slice(1, None)}  # of gamma those that darken
    for degradation in [*read_degradations(variation)][few.get(variation, slice(None))]:
        out = degradation.apply(images, unknown, numbers)
        assert out.shape == images.shape and out.dtype == np.float32 and np.isfinite(out).all()
        changes.append(np.abs(out - images).mean())
    assert len(changes) > 1 and changes == sorted(changes) and changes[-1] > 2
    # Drawn by the image's number: the batch that it is in does not matter.
    alone = degradation.apply(images[2:3], unknown[2:3], numbers[2:3])
    np.testing.assert_allclose(alone, out[2:3], atol=0.05)


def test_occlusion_blacks_out_a_square_of_cells():
    # Two sevenths of 28 pixels: an 8 x 8 square.
    out = Degradation("occlusion", 2).apply(
        np.full((1, 28, 28, 3), 9.0), np.full((1, 10), -1.0), np.array([5])
    )
    assert (out == 0).sum() == 8 * 8 * 3


def degraded(text, images):
    """What the one degradation `text` makes of images [B, S, S, 3] that are numbered from 0."""
    (degradation,) = read_degradations(text, seed=3)
    return degradation.apply(images, np.full((len(images), 10), -1.0), np.arange(len(images)))


def test_gamma_is_a_power_of_the_value():
    # 255 (51 / 255)^2 = 255 / 25; black and white stay.
    image = np.array([0.0, 51.0, 255.0]).reshape(1, 1, 1, 3)
    np.testing.assert_allclose(degraded("gamma:2", image).ravel(), [0, 10.2, 255], rtol=1e-6)


def test_thumbnail_is_the_mean_of_areas_and_a_cubic_between():
    # 32 pixels to 8: blocks of 4 x 4. An edge at a block's border stays one; between the centers of two
    # blocks of 0 and 200 the Keys cubic (a = -.75) overshoots on either side: below 0 is cut off, above 200
    # is kept.
    image = np.zeros((1, 32, 32, 3))
    image[:, :, 16:] = 200
    row = degraded("thumbnail:8", image)[0, 16, :, 0]
    assert row[0] == 0 and row[-1] == 200
    # Pixel 16 lies at 3.625 in blocks, 5/8 of the way from block 3 (0) to block 4 (200).
    t, a = 0.625, -0.75

    def weight(x):
        x = abs(x)
        return (a + 2) * x**3 - (a + 3) * x**2 + 1 if x <= 1 else a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a

    np.testing.assert_allclose(row[16], 200 * (weight(1 - t) + weight(2 - t)), atol=0.01)
    assert row.min() == 0 and row.max() > 200


def test_noise_has_its_deviation_and_is_that_of_the_image():
    gray = np.full((2, 64, 64, 3), 128.0)
    out = degraded("noise:20", gray)
    # 12,288 draws: the mean within 5 * 20 / sqrt(12288) = 0.9, the deviation within 5 * 20 / sqrt(2 * 12288)
    # = 0.64.
    for image in out:
        assert abs(image.mean() - 128) < 0.9 and abs(image.std() - 20) < 0.64
    assert np.abs(out[0] - out[1]).max() > 20
    np.testing.assert_array_equal(degraded("noise:20", gray[:1])[0], out[0])
    assert degraded("noise:100", gray).min() == 0


def test_a_wide_blur_is_the_gaussian_of_its_sigma():
    # A point of light: kernel 25 has sigma 0.3 (12 - 1) + 0.8 = 4.1 and 25 taps a side.
    image = np.zeros((1, 41, 41, 3))
    image[0, 20, 20] = 255.0
    taps = np.exp(-(np.arange(-12, 13) ** 2) / (2 * 4.1**2))
    taps /= taps.sum()
    wanted = np.zeros((41, 41))
    wanted[8:33, 8:33] = 255 * np.outer(taps, taps)
    np.testing.assert_allclose(degraded("blur:25", image)[0, ..., 1], wanted, atol=1e-4)


def test_jpeg_is_what_a_decoder_gives_and_keeps_the_channels():
    image = np.zeros((1, 32, 32, 3))
    image[..., 0] = 200.0  # red
    out = degraded("jpeg:50", image)
    assert np.abs(out - np.rint(out)).max() == 0
    assert out[0, ..., 0].mean() > 190 and out[0, ..., 2].mean() < 10


def test_degraded_pieces_have_their_own_place(images, pixel_model, tmp_path):
    clean, _ = embed_images(pixel_model, images, SETTINGS, tmp_path)
    for degradation in read_degradations("blur:11"):
        worse, _ = embed_images(pixel_model, images, SETTINGS, tmp_path, degradation)
    assert np.abs(worse.embedding - clean.embedding).max() > 1e-3
    assert pixel_model.images == 192


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("haze", r"--degrade blur\|occlusion\|pose\|resolution\|gamma\|jpeg\|noise"),
        ("blur:4", "odd kernel size from 3 to 31 as the strength of blur, but got 4"),
        ("gamma:0", r"an exponent from 0\.1 to 10 as the strength of gamma, but got 0"),
        ("occlusion:1.5", "a whole number from 1 to 7"),
        ("pose:90", "degrees from 0 to 75"),
        ("resolution:x", "a whole number from 8 to 64"),
    ],
)
def test_a_bad_degradation_is_a_sentence(text, sentence):
    with pytest.raises(UrfrError, match=sentence):
        read_degradations(text)


def test_every_image_is_decoded_once_for_all_degradations(images, pixel_model, monkeypatch):
    decoded = []
    monkeypatch.setattr(module, "decode_image", lambda data: decoded.append(data) or decode_image(data))
    wanted = [None, *read_degradations("blur:7"), *read_degradations("noise:20")]
    anew = [embed_images(pixel_model, images, SETTINGS, degradation=each)[0].embedding for each in wanted]
    assert len(decoded) == 3 * 96
    prepared = {}
    for each, expected in zip(wanted, anew, strict=True):
        faces, _ = embed_images(pixel_model, images, SETTINGS, degradation=each, prepared=prepared)
        np.testing.assert_array_equal(faces.embedding, expected)
    assert len(decoded) == 4 * 96


def test_what_is_written_twice_agrees():
    """In rooms that may not import one another: bounds of training and of `--degrade`, names of pictures."""
    assert {name: degrade._LIMITS[name] for name in SIZED} == SIZED
    assert set(UNITS) == {*degrade.STRENGTHS, *degrade.UNSEEN} == set(degrade._LIMITS)
    args = build_parser().parse_args(
        ["evaluate", "--model", "m", "--protocol", "pairs", "--data", "d", "--out", "o"]
    )
    assert args.per_person == PER_PERSON
