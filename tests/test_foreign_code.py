"""Nothing in the package runs what a file from outside says: read from the source of every module."""

import ast

import pytest
from house import FILES, PACKAGE, imported

# Modules that run code of a file, or are a way around our own readers. A module may be imported by the files
# that are named: their folders or paths below urfr_tf.
MODULES = {
    "pickle": (),
    "_pickle": (),
    "cPickle": (),
    "cloudpickle": (),
    "dill": (),
    "joblib": (),
    "jsonpickle": (),
    "marshal": (),
    "shelve": (),
    "torch": (),
    "mxnet": (),
    "onnx": (),
    "code": (),
    "xml": (),
    # Steps through opcodes and builds nothing.
    "pickletools": ("foreign_weights/pickle_machine.py",),
    "h5py": ("runs/hdf5_check.py",),
    "yaml": ("config/", "visualize/run_tables.py"),
    "zipfile": (
        "embedding/folder.py",
        "evaluation/embedding.py",
        "foreign_weights/torch_file.py",
        "visualize/sources.py",
    ),
    "tarfile": ("data/sources/archive.py",),
}
# Calls, by the last words of what is called, and where each is allowed with its reason.
CALLS = {
    "eval": (),
    "exec": (),
    "os.system": (),
    "os.popen": (),
    "extractall": (),
    "extract": (),
    "unsafe_load": (),
    "full_load": (),
    "yaml.load": (),
    "yaml.load_all": (),
    "Unpickler": (),
    "models.load_model": (),
    "enable_unsafe_deserialization": (),
    "load_weights": ("runs/network_weights.py",),  # after hdf5_check
    # load_saved_model checks the graph; the others load what they have just exported themselves.
    "saved_model.load": ("runs/load_saved_model.py", "export/first_difference.py", "bench/runtimes.py"),
}
ALLOWED_ARGUMENTS = {"allow_pickle": False, "shell": False, "safe_mode": True}


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def is_allowed(path, places):
    return any(
        name_of(path) == place or (place.endswith("/") and name_of(path).startswith(place))
        for place in places
    )


def find_calls(tree):
    """Each call in a module: what is called, in the words of the source, and its node."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def problems_of(path, source):
    """Sentences about what a module must not do."""
    tree = ast.parse(source)
    for module in {name.split(".")[0] for name in imported(path, source=source)} & set(MODULES):
        if not is_allowed(path, MODULES[module]):
            yield f"{name_of(path)} imports {module}"
    for called, node in find_calls(tree):
        for name, places in CALLS.items():
            if f".{called}".endswith(f".{name}") and not is_allowed(path, places):
                yield f"{name_of(path)}:{node.lineno} calls {called}"
        for keyword in node.keywords:
            if keyword.arg in ALLOWED_ARGUMENTS:
                allowed = ALLOWED_ARGUMENTS[keyword.arg]
                if not isinstance(keyword.value, ast.Constant) or keyword.value.value is not allowed:
                    yield f"{name_of(path)}:{node.lineno} sets {keyword.arg} to {ast.unparse(keyword.value)}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_from_outside_is_run(path):
    assert not list(problems_of(path, path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import load as quietly",
        "import numpy, torch.nn",
        "def f():\n    import joblib",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "yaml.load(text, Loader=yaml.Loader)",
        "tf.keras.models.load_model(path)",
        "tf.saved_model.load(path)",
        "network.load_weights(path)",
        "archive.extractall(folder)",
        "subprocess.run(text, shell=True)",
        "eval(text)",
    ],
)
def test_the_rule_finds_it(source):
    assert list(problems_of(PACKAGE / "somewhere.py", source))


@pytest.mark.parametrize(
    "source", ["np.load(path)", "np.load(path, allow_pickle=False)", "ast.literal_eval(text)"]
)
def test_the_rule_lets_data_pass(source):
    assert not list(problems_of(PACKAGE / "somewhere.py", source))


def test_every_exception_is_needed():
    """A place that no longer imports or calls it is struck off the list."""
    sources = {path: path.read_text(encoding="utf-8") for path in FILES}
    modules = {path: {name.split(".")[0] for name in imported(path)} for path in FILES}
    for module, places in MODULES.items():
        users = [path for path in FILES if module in modules[path]]
        for place in places:
            assert any(is_allowed(path, [place]) for path in users), f"{place} imports no {module}"
    for name, places in CALLS.items():
        for place in places:
            calls = [called for called, _ in find_calls(ast.parse(sources[PACKAGE / place]))]
            assert any(f".{called}".endswith(f".{name}") for called in calls), f"{place} calls no {name}"
