"""Graphs of operations: order, tidying, and the change of pixels, each checked by evaluation in NumPy."""

import numpy as np
import pytest

from urfr_tf.errors import UrfrError
from urfr_tf.foreign_weights.graph import (
    ADD,
    CONVOLUTION,
    DENSE,
    NORM,
    Operation,
    accept_our_pixels,
    list_operations,
    make_image_input,
    make_open_input,
    take_every_second,
    tidy_graph,
)
from urfr_tf.foreign_weights.pixels import PIXELS

RANDOM = np.random.default_rng(0)


def convolution(source, name="c", channels=2, **arrays):
    kernel = RANDOM.normal(size=(1, 1, 3, channels)).astype(np.float32)
    return Operation(CONVOLUTION, name, [source], {"kernel": kernel, **arrays})


def norm(source, name="n", channels=2):
    names = ("scale", "offset", "mean", "variance")
    arrays = {name: RANDOM.uniform(0.5, 2, channels).astype(np.float32) for name in names}
    return Operation(NORM, name, [source], arrays, epsilon=0.1)


def evaluate(operation, pixels):
    """1 x 1 convolutions and batch norms on pixels [B, 3]."""
    if not operation.sources:
        return pixels * operation.arrays["scale"] + operation.arrays["offset"]
    x, a = evaluate(operation.sources[0], pixels), operation.arrays
    if operation.kind == NORM:
        return (x - a["mean"]) / np.sqrt(a["variance"] + operation.epsilon) * a["scale"] + a["offset"]
    return x @ a["kernel"][0, 0].astype(np.float64) + a.get("bias", 0)


def test_a_bias_moves_into_the_mean():
    pixels = RANDOM.uniform(0, 255, (5, 3))
    output = norm(convolution(make_image_input(), bias=np.array([3.0, -4], np.float32)))
    before = evaluate(output, pixels)
    after, folded = tidy_graph(output)
    assert folded == 0
    assert "bias" not in after.sources[0].arrays
    np.testing.assert_allclose(evaluate(after, pixels), before, rtol=1e-6)


def test_a_lone_bias_gets_a_batch_norm():
    pixels = RANDOM.uniform(0, 255, (5, 3))
    output = convolution(make_image_input(), bias=np.array([3.0, -4], np.float32))
    before = evaluate(output, pixels)
    after, folded = tidy_graph(output)
    assert (folded, after.kind) == (1, NORM)
    np.testing.assert_allclose(evaluate(after, pixels), before, rtol=1e-6)


def test_a_batch_norm_with_a_second_user_of_its_source_is_not_taken():
    """The bias of a convolution that feeds a batch norm AND a shortcut must reach both."""
    first = convolution(make_image_input(), "c", 3, bias=np.ones(3, np.float32))
    branch = norm(first, channels=3)
    output = Operation(ADD, "add", [branch, first])
    after, folded = tidy_graph(output)
    assert folded == 1
    assert after.sources[0].sources[0] is after.sources[1]
    assert after.sources[1].arrays["offset"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("blue_first", [False, True])
@pytest.mark.parametrize("name", PIXELS)
def test_first_convolution_takes_our_pixels(name, blue_first):
    """The network's own numbers in its order, against (x - zero) / 128 in R, G, B."""
    pixels, convention = RANDOM.uniform(0, 255, (5, 3)), PIXELS[name]
    scale, offset = convention.network_order(blue_first)
    output = norm(convolution(make_image_input(scale, offset)))
    before = evaluate(output, pixels[:, ::-1] if blue_first else pixels)
    seen = accept_our_pixels(output, blue_first)
    np.testing.assert_allclose(seen, convention, rtol=1e-12)
    assert str(seen) == name
    output.sources[0].sources[0] = make_image_input(1 / 128, -np.array(seen.zero) / 128)
    np.testing.assert_allclose(evaluate(output, pixels), before, rtol=1e-4, atol=1e-5)


def test_what_the_user_says_counts_where_the_file_says_nothing():
    """The same convolution as if the file had said it. Without a word: the assumption, or a question."""
    kernels = {}
    for name in PIXELS:
        output = convolution(make_open_input())
        output.arrays["kernel"] = np.ones((1, 1, 3, 2), np.float32)
        assert accept_our_pixels(output, said=PIXELS[name]) == PIXELS[name]
        kernels[name] = output.arrays["kernel"][0, 0, :, 0]
    np.testing.assert_allclose(kernels["0..1"], 128 / 255)
    np.testing.assert_allclose(kernels["imagenet"], 128 / 255 / np.array([0.229, 0.224, 0.225]), rtol=1e-6)
    assert accept_our_pixels(convolution(make_open_input())) == PIXELS["centered"]
    with pytest.raises(UrfrError, match=r"give --pixels centered, 0\.\.1, imagenet, 0\.\.255; --check"):
        accept_our_pixels(convolution(make_open_input()), assumed=None)


def test_an_input_without_a_convolution_is_refused():
    with pytest.raises(UrfrError, match="expected a convolution at the input"):
        accept_our_pixels(norm(make_image_input()))
    with pytest.raises(UrfrError, match="nothing in the file takes the image"):
        accept_our_pixels(make_image_input())


def test_order_is_of_structure_not_of_the_file():
    for reverse in (False, True):
        image = make_image_input()
        long = norm(convolution(image, "long"), "long_norm")
        both = [long, convolution(image, "short")]
        output = Operation(ADD, "add", both[::-1] if reverse else both)
        assert [o.name for o in list_operations(output)] == ["image", "long", "long_norm", "short", "add"]


def test_ambiguity_and_loops_are_refused():
    image = make_image_input()
    with pytest.raises(UrfrError, match="same length and cannot be told apart"):
        list_operations(Operation(ADD, "add", [convolution(image, "a"), convolution(image, "b")]))
    one = norm(image)
    one.sources = [norm(one, "other")]
    with pytest.raises(UrfrError, match="the graph has a loop"):
        list_operations(one)


def test_a_deep_graph_needs_no_recursion():
    x = make_image_input()
    for number in range(5000):
        x = norm(x, f"n{number}")
    assert len(list_operations(x)) == 5001


def test_every_second_is_the_identity_with_stride():
    thinned = take_every_second(norm(make_image_input(), channels=3), "pool")
    kernel = thinned.sources[0]
    assert (kernel.stride, kernel.padding) == (2, 0)
    assert kernel.arrays["kernel"][0, 0].tolist() == np.eye(3).tolist()
    pixels = RANDOM.uniform(0, 255, (5, 3))
    np.testing.assert_allclose(evaluate(thinned, pixels), evaluate(kernel.sources[0], pixels), rtol=1e-6)
    with pytest.raises(UrfrError, match="number of channels at pool cannot be told"):
        take_every_second(make_image_input(), "pool")


def test_signature_names_what_matters():
    dense = Operation(DENSE, "fc", [], {"kernel": np.zeros((4, 2), np.float32)})
    assert str(dense) == "dense fc 4x2"
    depthwise = Operation(
        CONVOLUTION, "dw", [], {"kernel": np.zeros((3, 3, 1, 8), np.float32)}, stride=2, padding=1, groups=8
    )
    assert str(depthwise) == "convolution dw 3x3x1x8 stride 2 padding 1 groups 8"
