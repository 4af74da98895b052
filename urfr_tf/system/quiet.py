"""What a program of this package tells the libraries below, before it imports them."""

import os
import sys
import warnings

from urfr_tf.system.extras import DESIGN_SET


def quiet_libraries() -> None:
    """TensorFlow's log and warnings off, oneDNN on, where the user has not said otherwise."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Off by default on processors without AVX-512; convolutions are about twice as fast with it.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if not sys.warnoptions:  # end-of-life notices of the libraries below
        warnings.simplefilter("ignore")


def leave_out_keras_3() -> None:
    """For a program of ours alone, at its start: `tf.keras` of the process becomes Keras 2.

    On today's set TensorFlow otherwise imports Keras 3 with scikit-learn and matplotlib, which takes as long
    as all the rest. What may run inside a user's process, as `urfr_tf.cli.main([...])`, must not call this.
    """
    if not DESIGN_SET and "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")


def quiet_compiler() -> None:
    """Compiles something small, so that the line that XLA prints once in a process comes where nobody reads
    it.

    It writes past every log level to the descriptor of stderr. Not before the devices are set up.
    """
    import tensorflow as tf

    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        tf.function(lambda x: x + 1.0, jit_compile=True)(tf.zeros([])).numpy()
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)
