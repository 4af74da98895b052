"""Processes that begin with TensorFlow and this package imported: forked from one that did nothing else.

These imports take five seconds of a core, as long as a small training. A process here has what a test wants
of one: devices, seeds and policies of its own, an exit code, and signals that reach nobody else. What only a
new interpreter shows, such as another seed of hashes, needs `subprocess`.
"""

import gc
import importlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from paths import ROOT

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["urfr_tf.cli", "urfr_tf.train"])


def collect_rarely():
    """Saves the garbage collector from going through all that is imported, again and again."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


class Forked:
    """`function(*arguments)` in a process of its own; what it returns is the exit code, as in sys.exit.

    Its methods are those of subprocess.Popen. What it writes goes to the two paths `files`, if given.
    """

    def __init__(self, function, *arguments, cwd=ROOT, env=(), files=None):
        self._folder = tempfile.TemporaryDirectory()
        self._files = [Path(file) for file in files or (f"{self._folder.name}/{n}" for n in (1, 2))]
        for file in self._files:
            file.touch()
        args = (function, arguments, cwd, dict(env), self._files)
        self._process = _CONTEXT.Process(target=_begin, args=args, daemon=True)
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self.returncode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self._process.kill()

    def wait(self, timeout=None):
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout)
        return self.returncode

    def communicate(self, timeout=None):
        """Standard output and standard error once it has ended."""
        self.wait(timeout)
        return tuple(file.read_text() for file in self._files)


def run(function, *arguments, timeout=400, **settings):
    """As subprocess.run: waits, and gives exit code, standard output and standard error."""
    process = Forked(function, *arguments, **settings)
    try:
        out, err = process.communicate(timeout)
    finally:
        process.kill()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def value(function, *arguments):
    """What the function returns."""
    with tempfile.NamedTemporaryFile() as file:
        done = run(_dump, function, arguments, file.name)
        assert done.returncode == 0, done.stderr[-3000:]
        return pickle.load(file)


def _dump(function, arguments, name):
    Path(name).write_bytes(pickle.dumps(function(*arguments)))


def _begin(function, arguments, cwd, env, files):
    for number, path in enumerate(files, 1):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", 1, closefd=False) for number in (1, 2))
    # A shell ignores it in what it starts in the background, and its children would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(env)
    os.chdir(cwd)
    collect_rarely()
    importlib.import_module("one_unit")
    sys.exit(function(*arguments))
