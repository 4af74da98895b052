"""A file like dlib's face network, written with numbers of our own, for readers to be tried on."""

import hashlib
import math

import numpy as np

STAGES = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
SMALL = ((2, 1), (4, 2))
"""Filters and blocks of the published network's stages, and of a network of a few kilobytes."""


def integer(value):
    """A control byte, which has the number of bytes and the sign, then the bytes, little-endian."""
    size = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def integers(*values):
    return b"".join(map(integer, values))


def real(value):
    """Mantissa of 24 bits and exponent."""
    mantissa, exponent = math.frexp(value)
    return integers(int(mantissa * (1 << 24)), exponent - 24)


def name(text):
    return integer(len(text)) + text.encode()


def tensor(values, shape=None):
    values = np.asarray(values, "<f4")
    return integers(2, *(shape or values.shape)) + values.tobytes()


STATE = b"110" + 3 * tensor(np.zeros(0), (0, 0, 0, 0))
RATES = real(1.0) + real(1.0) + real(1.0) + real(0.0)


def dlib_file(draw, mean=(122.782, 117.001, 104.298), convolution="con_4", stages=STAGES):
    """The bytes of a network.

    Args:
        draw: shape -> numbers.
        mean: what is subtracted from pixels.
        convolution: the name that convolutions have.
        stages: filters and blocks of each.

    Returns:
        The file, and what it holds: kernels [out, in, rows, columns], biases, gammas and betas from the input
        on, and the dense kernel [last filters, 128].
    """
    layers = []

    def convolve(before, filters, side, stride):
        kernel, bias = draw((filters, before, side, side)), draw((filters,))
        gamma, beta = draw((filters,)), draw((filters,))
        layers.append((kernel, bias, gamma, beta))
        numbers = np.concatenate([kernel.ravel(), bias])
        pad = int(stride == 1)
        return b"".join(
            [
                name(convolution) + tensor(numbers, (len(numbers), 1, 1, 1)),
                integers(filters, side, side, stride, stride, pad, pad),
                integers(1, filters, before, side, side) + integers(1, 1, filters, 1, 1),
                RATES + STATE + (integer(1) if before == 3 else b""),
                name("affine_") + tensor(np.concatenate([gamma, beta]), (2 * filters, 1, 1, 1)),
                integers(*(1, 1, filters, 1, 1) * 2) + integer(0) + STATE,
            ]
        )

    relu = name("relu_") + STATE
    pieces = [integer(1) + name("loss_metric_2") + real(0.04) + real(0.6) + integers(*[1, 2] * 60)]
    pieces += [integer(3) + name("input_rgb_image_sized"), *map(real, mean), integers(150, 150)]
    pieces += [convolve(3, stages[0][0], 7, 2), relu, name("max_pool_2") + integers(3, 3, 2, 2, 0, 0) + STATE]
    before = stages[0][0]
    for stage, (filters, blocks) in enumerate(stages):
        for block in range(blocks):
            halve = stage > 0 and block == 0
            pieces += [
                convolve(before, filters, 3, 2 if halve else 1),
                relu,
                convolve(filters, filters, 3, 1),
            ]
            if halve:
                pieces.append(name("avg_pool_2") + integers(2, 2, 2, 2, 0, 0) + STATE)
            pieces += [name("add_prev_") + STATE, relu]
            before = filters
    pieces.append(name("avg_pool_2") + integers(0, 0, 1, 1, 0, 0) + STATE)
    dense = draw((before, 128))
    pieces.append(name("fc_2") + integers(128, before) + tensor(dense, (before, 128, 1, 1)))
    pieces.append(integers(1, before, 128, 1, 1) + integers(1, 0, 0, 0, 0) + integer(1) + RATES + STATE)
    return b"".join(pieces), layers, dense


def network_file(seed=0):
    """The bytes of a whole network of drawn numbers."""
    normal = np.random.default_rng(seed).normal
    return dlib_file(lambda shape: (normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32))[0]


def install_package(monkeypatch, folder, content, published=None, package="test-models-ng"):
    """Installs a distribution with a file of the network into `folder`, which is put into the path.

    Args:
        monkeypatch: pytest's; the two names of packages are test-models-ng and test-models afterwards.
        folder: of the installation.
        content: of the file; None leaves it out.
        published: what the published file holds; None for the same.
        package: name of the distribution; empty installs none.

    Returns:
        The path of the file.
    """
    from urfr_tf.foreign_weights import dlib_file as reading
    from urfr_tf.runs import import_dlib

    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(import_dlib, "PACKAGES", ("test-models-ng", "test-models"))
    path = folder / "face_recognition_models" / "models" / import_dlib.FILE
    if package:
        info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    if content is not None:
        path.parent.mkdir(parents=True)
        # An import of the package would end the test.
        (path.parents[1] / "__init__.py").write_text("raise SystemExit('imported')")
        path.write_bytes(content)
        digest = hashlib.sha256(content if published is None else published).hexdigest()
        for module in (import_dlib, reading):
            monkeypatch.setattr(module, "SHA256", digest)
    return path
