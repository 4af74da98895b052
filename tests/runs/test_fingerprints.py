"""Fingerprints follow the files that outputs depend on."""

import h5py

import urfr_tf


def test_fingerprint_follows_the_weights(run, network, tmp_path):
    (tmp_path / "config.yaml").write_bytes((run / "config.yaml").read_bytes())
    (tmp_path / "inference.weights.h5").write_bytes((run / "inference.weights.h5").read_bytes())
    same = urfr_tf.load(tmp_path).fingerprint
    assert same == urfr_tf.load(run).fingerprint and len(same) == 64
    with h5py.File(tmp_path / "inference.weights.h5", "r+") as file:
        arrays = []
        file.visititems(lambda name, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
        arrays[0][...] += 1
    assert urfr_tf.load(tmp_path).fingerprint != same
