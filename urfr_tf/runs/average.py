"""A fine-tuned network averaged with the one that it started from.

Fine-tuning improves on the kind of images that it trains with and loses some accuracy on others. Averages of
the weights before and after keep most of both (WiSE-FT: Wortsman et al., "Robust fine-tuning of zero-shot
models", CVPR 2022).
"""

from pathlib import Path
from typing import TypedDict

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json
from urfr_tf.models.urface import embedding_network
from urfr_tf.runs.folder import open_run, read_inputs, refuse_other_run
from urfr_tf.runs.initial_weights import copy_initial_weights
from urfr_tf.runs.inputs import START, digest_start
from urfr_tf.runs.load_run import load_network
from urfr_tf.runs.network_weights import save_network_weights

_FACTS_OF_A_RUN = ("versions", "seed", "commit", "command")


class MixtureFacts(TypedDict):
    """What run.json keeps under `mixed`."""

    run: str
    """The fine-tuned run."""
    start: str
    """The run that it started from."""
    share: float
    """Of the start in the average."""


def average_with_start(run: Path, share: float, out: Path) -> MixtureFacts:
    """Writes the run folder `out` with (1 - share) of the weights of `run` and `share` of those it started
    from.

    Fine-tune with frozen batch norms (`train.freeze_batch_norm: all`) first: the average of the statistics of
    two networks does not fit the averaged network. A confidence head or an embedding that did not fit the
    start is averaged with its own initial weights.

    Args:
        run: a run with `initial_weights`; the folder that they are from must still exist.
        share: from 0, the run itself, to 1, its start.
        out: the run folder; new, or an earlier average of the same run.

    Raises:
        UrfrError: the run did not start from another, or `out` holds another run; nothing is written.
    """
    if not 0 <= share <= 1:
        raise UrfrError(f"expected a share from 0 to 1, but got {share:g}")
    network, _, config = load_network(run)
    if not config.initial_weights:
        raise UrfrError(
            f"expected a run that started from initial_weights, but {run} started from drawn weights"
        )
    known = read_inputs(run).get(START)
    if known is not None and known != digest_start(config.initial_weights):
        raise UrfrError(
            f"expected the weights that {run} started from in {config.initial_weights}, but they are others"
        )
    refuse_other_run(out, "mixed", "run", str(run.resolve()), f"mixture of {run}")
    start = embedding_network(config.model, config.confidence)
    copy_initial_weights(start, config)
    for variable, start_variable in zip(network.weights, start.weights, strict=True):
        variable.assign((1 - share) * variable + np.float32(share) * start_variable)
    facts: MixtureFacts = {"run": str(run.resolve()), "start": config.initial_weights, "share": share}
    other_facts = {
        name: fact for name, fact in read_json(run / "run.json").items() if name not in _FACTS_OF_A_RUN
    }
    open_run(out, config, {**other_facts, "mixed": facts})
    save_network_weights(network, out)
    return facts
