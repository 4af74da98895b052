"""The optimizer gives the numbers of tensorflow-addons under the same names, also without it."""

from pathlib import Path

import numpy as np
import pytest
from optimizer_steps import CASES, hundred_steps

from urfr_tf.keras2 import keras
from urfr_tf.training.addons import progress_bar


@pytest.fixture(scope="module")
def goldens():
    """goldens/make_addons.py wrote them with tensorflow-addons 0.23 and TensorFlow 2.15."""
    with np.load(Path(__file__).parent / "goldens" / "addons.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize("case", CASES)
def test_a_hundred_steps_are_those_of_tensorflow_addons(case, tmp_path, goldens):
    got = hundred_steps(case, tmp_path)
    expected = {name.split("//")[1]: v for name, v in goldens.items() if name.startswith(f"{case}//")}
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, rtol=0, atol=1e-6, err_msg=name)


def test_the_bar_counts_the_steps_of_each_epoch(capsys):
    model = keras.Sequential([keras.layers.Dense(1, input_shape=[2])])
    model.compile("sgd", "mse")
    model.fit(np.zeros([6, 2]), np.zeros(6), batch_size=2, epochs=2, verbose=0, callbacks=[progress_bar()])
    printed = capsys.readouterr()
    assert printed.out.splitlines() == ["Epoch 1/2", "Epoch 2/2"]
    assert printed.err.count("3/3 ") >= 2
