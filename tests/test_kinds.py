"""The markers `process` and `training`: found by themselves, and kept to."""

import importlib
import operator
from pathlib import Path

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


def test_the_modules_that_are_listed_are_there():
    assert all((kinds.ROOT / "tests" / name).is_file() for name in (*kinds.NETWORK, *kinds.LONGEST))


def test_the_longest_modules_come_first():
    names = ["augment/test_pose.py", kinds.LONGEST[1], "test_choose.py", kinds.LONGEST[0]]
    found = sorted((Path(kinds.TESTS) / name for name in names), key=kinds.place_of)
    assert [str(path.relative_to(kinds.TESTS)) for path in found] == [names[i] for i in (3, 1, 0, 2)]


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
