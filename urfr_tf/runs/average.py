"""A fine-tuned network averaged with the one that it started from.

Fine-tuning gains on what it trains with and forgets some of what it does not; between the two sets of weights
lies a network that keeps most of both (WiSE-FT: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
"""

from pathlib import Path
from typing import Any

import numpy as np

from urfr_tf.errors import UrfrError
from urfr_tf.files import read_json, replacing
from urfr_tf.models.urface import embedding_network
from urfr_tf.runs.embedder import load_network
from urfr_tf.runs.folder import WEIGHTS, open_run, refuse_other_run
from urfr_tf.runs.initial_weights import load_network_weights

_OF_A_RUN = ("versions", "seed", "commit", "command")


def mix(run: Path, share: float, out: Path) -> dict[str, Any]:
    """Writes the run folder `out` with (1 - share) of the weights of `run` and `share` of those it started from.

    Batch norms should have stood still (`train.freeze_batch_norm: all`): statistics of two networks do not
    average. A confidence head or an embedding that started anew counts with that start.

    Args:
        run: a run with `initial_weights`, which must still be there.
        share: from 0, the run itself, to 1, its start.
        out: the run folder; new, or a mixture of the same run.

    Returns:
        What run.json keeps under `mixed`.

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
    refuse_other_run(out, "mixed", "run", str(run.resolve()), f"mixture of {run}")
    start = embedding_network(config.model, config.confidence)
    load_network_weights(start, config)
    for variable, beginning in zip(network.weights, start.weights, strict=True):
        variable.assign((1 - share) * variable + np.float32(share) * beginning)
    facts = {"run": str(run.resolve()), "start": config.initial_weights, "share": share}
    before = {name: fact for name, fact in read_json(run / "run.json").items() if name not in _OF_A_RUN}
    open_run(out, config, {**before, "mixed": facts})
    with replacing(out / WEIGHTS) as beside:
        network.save_weights(str(beside))
    return facts
