"""The markers `process` and `training`: found by themselves, and kept to."""

import importlib
import operator

import forked
import kinds
import pytest
import running


def helper_of_a_test():
    return running.done


def test_what_a_test_calls_says_what_it_is():
    assert kinds.kinds_of(helper_of_a_test) == {"process", "training"}
    assert kinds.kinds_of(running.rows) == set()
    assert kinds.kinds_of(forked.value) == {"process"}
    assert kinds.kinds_of(importlib.import_module) == set()  # not of the tests


def test_the_modules_with_whole_networks_are_there():
    assert all((kinds.ROOT / "tests" / name).is_file() for name in kinds.NETWORK)


def test_a_process_that_no_marker_names_is_refused():
    """`run` is looked for by its name alone, so that nothing here says that it starts a process."""
    library = importlib.import_module("sub" + "process")
    with pytest.raises(AssertionError, match="needs the marker `process`: it calls Popen.__init__"):
        library.run(["true"])
    assert library.run(["uname"], capture_output=True).returncode == 0  # asks about the machine
    library = importlib.import_module("multi" + "processing")
    with pytest.raises(AssertionError, match="needs the marker `process`"):
        library.Process(target=print).start()


def test_a_training_that_no_marker_names_is_refused():
    keras = importlib.import_module("keras")
    model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(AssertionError, match="needs the marker `training`: it calls Model.fit"):
        operator.methodcaller("f" + "it", [[0.0]], [[0.0]])(model)
