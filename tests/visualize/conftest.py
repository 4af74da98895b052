"""Synthetic runs as the other commands leave them."""

import contextlib
import csv
import json
import socket
import subprocess
import time

import numpy as np
import pytest
from browser import DRIVER, Browser


@pytest.fixture(scope="session")
def write_evaluation():
    """Writes metrics.json, and scores.npz unless `scores` is false, into a folder."""

    def write(folder, *, shift=2.0, seed=0, scores=True, **changes):
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        same = np.arange(550) < 50
        values = rng.normal(size=550) + shift * same
        content = {
            "protocol": "pairs",
            "model": folder.name,
            "score": "cosine",
            "metrics": {"accuracy": 0.5 + shift / 10, "accuracy_stderr": 0.01, "tar@far=1e-1": shift / 4},
            "counts": {"images": 100, "genuine": 50, "impostor": 500},
            "threshold": 1.0,
            "versions": {"tensorflow": "2.15.1"},
            "command": f"urfr evaluate --model {folder.name} --protocol pairs",
            **changes,
        }
        (folder / "metrics.json").write_text(json.dumps(content))
        if scores:
            np.savez(folder / "scores.npz", scores=values, same=same, fold=np.arange(550) % 10)
        return folder

    return write


@pytest.fixture(scope="session")
def write_run(write_evaluation):
    """Writes a run of so many epochs with three evaluated systems."""

    def write(folder, *, margin=8, epochs=30, scores=True):
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(f"seed: 1\nloss:\n  margin: {margin}\nmodel:\n  groups: 16\n")
        facts = {"seed": 1, "commit": "02cea7d", "command": f"urfr train --run-dir {folder.name}"}
        (folder / "run.json").write_text(json.dumps({**facts, "versions": {"keras": "2.15.0"}}))
        with open(folder / "log.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(
                ["epoch", "step", "loss", "identification", "confidence_mean", "confidence_std", "margin"]
                + ["learning_rate", "val_accuracy", "confidence_mean_0", "confidence_std_0"]
            )
            for epoch in range(1, epochs + 1):
                loss = 10 / epoch
                writer.writerow([epoch, 20 * epoch, loss, loss - 0.1, 24, 1, margin, 0.02, 0.9, 24, 1])
        for name, shift in (("eigenfaces", 2.0), ("trained", 3.0), ("untrained", 1.0)):
            write_evaluation(folder / "evaluation" / name, shift=shift, scores=scores)
        return folder

    return write


@pytest.fixture(scope="session")
def driver():
    """ChromeDriver on a free port of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def open_browser(driver, tmp_path):
    """Opens browsers of a size, and closes them."""
    browsers = []

    def start(width, height, **more):
        browsers.append(Browser(driver, tmp_path / f"profile-{len(browsers)}", width, height, **more))
        return browsers[-1]

    yield start
    for browser in browsers:
        browser.call("DELETE", "")
