"""`initial_weights`: the embedding network of another run as the start of this one."""

from pathlib import Path

import keras
import numpy as np

from urfr_tf.config.load_config import read_run_config
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError
from urfr_tf.layers import SubEmbedding
from urfr_tf.models.inference_graph import build_inference
from urfr_tf.runs.folder import WEIGHTS


def load_network_weights(network: keras.Model, config: Experiment) -> list[str]:
    """Copies what fits of the run `config.initial_weights` into an embedding network, layer by layer.

    The backbone must fit; a wider embedding starts as the narrower one (`widen`); other heads of another shape keep
    their own start. Both are named.

    Returns:
        The names of the heads that keep their own start.

    Raises:
        UrfrError: the run has no weights, or another backbone.
    """
    run = Path(config.initial_weights)
    theirs = read_run_config(run)
    if not (run / WEIGHTS).is_file():
        raise UrfrError(f"expected {WEIGHTS} in the run {run} of initial_weights, but there is none")
    source = build_inference(theirs)
    try:
        source.load_weights(str(run / WEIGHTS))
    except (ValueError, OSError, KeyError) as error:
        raise UrfrError(f"the weights of {run} do not fit its own config.yaml: {error}") from error
    available = {layer.name: layer for layer in source.layers if layer.weights}
    fresh, widened = [], ""
    for layer in network.layers:
        if not layer.weights:
            continue
        found = available.get(layer.name)
        shapes = [weight.shape for weight in found.weights] if found else None
        if found is not None and shapes == [weight.shape for weight in layer.weights]:
            layer.set_weights(found.get_weights())
        elif layer.name == "embedding" and found is not None and can_widen(found, layer):
            widen(found, layer, np.random.default_rng(config.seed))
            widened = f"; embedding {_width(found)} wide made {_width(layer)} wide"
        elif layer.name in ("embedding", "confidence"):
            fresh.append(layer.name)
        else:
            raise UrfrError(
                f"the run {run} of initial_weights has another backbone: layer {layer.name} does not fit "
                f"(there {theirs.model.backbone} of width {theirs.model.width}, here {config.model.backbone} "
                f"of width {config.model.width})"
            )
    verb = "starts" if len(fresh) == 1 else "start"
    kept = f"; {' and '.join(fresh)} {verb} anew" if fresh else ""
    print(f"initial weights from {run}{widened}{kept}")
    return fresh


def _width(head: SubEmbedding) -> int:
    return head.groups * head.dim


def can_widen(narrow: SubEmbedding, wide: SubEmbedding) -> bool:
    """Whether `widen` can: the same features, at least as many numbers, and a batch norm to take the offset."""
    features = narrow.dense.kernel.shape[0] == wide.dense.kernel.shape[0]
    return features and _width(narrow) < _width(wide) and wide.norm is not None


def widen(narrow: SubEmbedding, wide: SubEmbedding, random: np.random.Generator) -> None:
    """Makes a wide embedding head of a narrow one, so that nothing that was learned is lost.

    x A + b of D numbers becomes (x A + b) E of more, E [D, wider] drawn with orthonormal rows: the cosine of two
    embeddings is what it was, and each of the K groups is a random projection, whose own cosine comes near it.

    Args:
        narrow: the head whose weights are known.
        wide: the head that is set; its batch norm has the statistics 0 and 1, for images normalised as before.
        random: draws E.
    """
    kernel = narrow.dense.kernel.numpy().astype(np.float64)
    offset = np.zeros(_width(narrow))
    if narrow.norm is not None:
        mean, variance, beta = (
            weight.numpy().astype(np.float64)
            for weight in (narrow.norm.moving_mean, narrow.norm.moving_variance, narrow.norm.beta)
        )
        scale = 1 / np.sqrt(variance + narrow.norm.epsilon)
        kernel, offset = kernel * scale, beta - mean * scale
    drawn: np.ndarray = random.standard_normal([_width(wide), _width(narrow)])
    columns = np.linalg.qr(drawn)[0]
    wide.dense.kernel.assign((kernel @ columns.T).astype(np.float32))
    norm = wide.norm
    assert norm is not None  # can_widen
    norm.beta.assign((offset @ columns.T).astype(np.float32))
    norm.moving_mean.assign(np.zeros(_width(wide), np.float32))
    norm.moving_variance.assign(np.full(_width(wide), 1 - norm.epsilon, np.float32))
