"""Tests that start processes, and tests that train: found by their code, and held to it while they run.

`process` and `training` are pytest's markers of them, and `network` that of modules which trace, plan or
convert whole networks for seconds. `make test-unit` runs the tests that have none of the three.
"""

import functools
import inspect
import multiprocessing
import subprocess
import sys
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from paths import ROOT

TESTS = str(ROOT / "tests")
OURS = tuple(str(ROOT / name) for name in ("tests", "urfr_tf", "experiments"))
NETWORK = {
    "augment/test_choose.py",
    "augment/test_pose.py",
    "augment/test_resolution.py",
    "data/stream/test_person_groups.py",
    "data/stream/test_service.py",
    "data/stream/test_training_stream.py",
    "data/stream/test_turned_faces.py",
    "data/stream/test_worker_shares.py",
    "data/test_inspect.py",
    "export/test_equalize.py",
    "export/test_export_run.py",
    "export/test_fold_batch_norm.py",
    "export/test_mobile.py",
    "foreign_weights/test_dlib_file.py",
    "foreign_weights/test_import_dlib.py",
    "models/test_inference_graph.py",
    "models/test_ir.py",
    "models/test_layer_groups.py",
    "models/test_mobilefacenet.py",
    "models/test_prototype_sampling.py",
    "models/test_teacher.py",
    "planning/test_estimate.py",
    "runs/test_embedder.py",
    "runs/test_goldens.py",
    "runs/test_network_weights.py",
    "visualize/test_report_command.py",
}
# They take longest, a quarter of all, and begin first.
LONGEST = (
    "training/test_training.py",
    "planning/test_measured_peak.py",
    "planning/test_estimate.py",
    "training/test_workers.py",
    "models/test_sharded_prototypes.py",
    "models/test_accumulate.py",
    "data/stream/test_service.py",
    "export/test_mobile.py",
    "test_keras2.py",
    "training/tasks/test_tasks.py",
    "runs/test_goldens.py",
    "test_wheel.py",
    "fuzz/test_foreign_formats.py",
    "data/stream/test_turned_faces.py",
    "bench/test_bench_head.py",
)
# Programs that the package and its libraries ask about the machine; they answer in milliseconds.
LOOKING = {"git", "nvidia-smi", "uname", "lscpu", "ldconfig", "fc-list", "sysctl"}
# Names that say what a function does; `running` has the last two.
SAYING = {
    "process": {"subprocess", "Forked", "start_program"},
    "training": {"fit", "train_step", "step_of", "training_words", "start_program"},
}


@functools.cache  # Every row of a parametrized test asks again.
def kinds_of(function):
    """The kinds of a test or fixture, from the names in it and in what it calls.

    The functions of the tests are followed to the end, those of the package and the experiments not further.
    """
    return frozenset(_kinds_of(function, set()))


def _kinds_of(function, seen):
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None or code in seen or not code.co_filename.startswith(OURS):
        return set()
    seen.add(code)
    names = names_in(code)
    kinds = {kind for kind, saying in SAYING.items() if saying & names}
    if not code.co_filename.startswith(TESTS):
        return kinds
    for name in names:
        for used in functions_of(inspect.unwrap(function).__globals__.get(name), names):
            kinds |= _kinds_of(used, seen)
    return kinds


@functools.cache
def names_in(code):
    """The global names and attributes in a code object and in those inside it."""
    inner = [names_in(const) for const in code.co_consts if isinstance(const, CodeType)]
    return frozenset(code.co_names).union(*inner)


def functions_of(value, names):
    """The functions behind a global: itself, a class's methods, what of a module is named."""
    if isinstance(value, ModuleType):
        return [each for name in names for each in functions_of(vars(value).get(name), ())]
    values = vars(value).values() if inspect.isclass(value) else [value]
    return [each for each in values if isinstance(each, FunctionType)]


def place_of(path):
    """By which modules are sorted: the longest come first, the others stay in their order."""
    name = str(path).removeprefix(f"{TESTS}/")
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)


def is_looking(arguments):
    """Whether the first of these are the words of such a program."""
    words = arguments[0] if arguments else ()
    words = words.split() if isinstance(words, str) else words  # numba asks for "lscpu" when it is imported
    return isinstance(words, list | tuple) and bool(words) and Path(str(words[0])).name in LOOKING


class Guard:
    """Raises where a test does what its markers do not say."""

    def __init__(self):
        self.allowed = set(SAYING)
        self._refuse(subprocess.Popen, "__init__", "process")
        self._refuse(multiprocessing.process.BaseProcess, "start", "process")

    @staticmethod
    def kinds(item):
        """The kinds by a test's markers."""
        return {kind for kind in SAYING if item.get_closest_marker(kind)}

    def watch(self, item):
        """From now on, what happens happens in this test."""
        self.allowed = self.kinds(item)
        if "keras" in sys.modules:
            self._refuse(sys.modules["keras"].Model, "fit", "training")

    def _refuse(self, owner, name, kind):
        original = getattr(owner, name)
        if hasattr(original, "guarded"):
            return

        def guarded(*args, **settings):
            if kind not in self.allowed and not is_looking(args[1:]):
                raise AssertionError(f"this test needs the marker `{kind}`: it calls {owner.__name__}.{name}")
            return original(*args, **settings)

        guarded.guarded = True
        setattr(owner, name, guarded)
