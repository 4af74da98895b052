"""`initial_weights`: the embedding network of another run as the start of this one."""

import numpy as np

from urfr_tf.config.load_config import read_run_config
from urfr_tf.config.tree import Experiment
from urfr_tf.errors import UrfrError
from urfr_tf.keras2 import keras
from urfr_tf.layers import SubEmbedding
from urfr_tf.models.inference_graph import build_inference
from urfr_tf.runs.default_network import find_model
from urfr_tf.runs.network_weights import load_network_weights


def copy_initial_weights(network: keras.Model, config: Experiment) -> list[str]:
    """Copies what fits of the run `config.initial_weights` into an embedding network, layer by layer.

    The backbone must fit. A wider embedding starts as the narrower one (`widen_embedding`). Other heads of
    another shape keep the weights that they have. What was done with the heads is printed.

    Args:
        network: the embedding network that is about to be trained.
        config: its configuration.

    Returns:
        The names of the heads that keep the weights that they have.

    Raises:
        UrfrError: the run has no weights, another backbone or another `model.zero_pixel`.
    """
    run = find_model(config.initial_weights)
    source_config = read_run_config(run)
    source = build_inference(source_config)
    load_network_weights(source, run)
    theirs, ours = source_config.model, config.model
    if theirs.zero_pixel != ours.zero_pixel:
        raise UrfrError(
            f"the run {run} of initial_weights has model.zero_pixel: {theirs.zero_pixel}, but "
            f"{ours.zero_pixel} was requested; its weights need --set model.zero_pixel={theirs.zero_pixel}"
        )
    available = {layer.name: layer for layer in source.layers if layer.weights}
    fresh, widened = [], ""
    for layer in network.layers:
        if not layer.weights:
            continue
        same_name = available.get(layer.name)
        shapes = [weight.shape for weight in same_name.weights] if same_name else None
        if same_name is not None and shapes == [weight.shape for weight in layer.weights]:
            layer.set_weights(same_name.get_weights())
        elif layer.name == "embedding" and same_name is not None and can_widen(same_name, layer):
            widen_embedding(same_name, layer, np.random.default_rng(config.seed))
            widened = f"; embedding {_width(same_name)} wide made {_width(layer)} wide"
        elif layer.name in ("embedding", "confidence"):
            fresh.append(layer.name)
        else:
            raise UrfrError(
                f"the run {run} of initial_weights has another backbone: layer {layer.name} does not fit "
                f"(there {theirs.backbone} of width {theirs.width}, "
                f"here {ours.backbone} of width {ours.width})"
            )
    verb = "starts" if len(fresh) == 1 else "start"
    restarted = f"; {' and '.join(fresh)} {verb} anew" if fresh else ""
    print(f"initial weights from {run}{widened}{restarted}")
    return fresh


def _width(head: SubEmbedding) -> int:
    return head.groups * head.dim


def can_widen(narrow: SubEmbedding, wide: SubEmbedding) -> bool:
    """Tells whether `widen_embedding` applies.

    It needs the same features, a wider embedding, and a batch norm in the wide head to take the offset.
    """
    features = narrow.dense.kernel.shape[0] == wide.dense.kernel.shape[0]
    return features and _width(narrow) < _width(wide) and wide.norm is not None


def widen_embedding(narrow: SubEmbedding, wide: SubEmbedding, random: np.random.Generator) -> None:
    """Sets a wide embedding head to a narrow one, so that nothing that was learned is lost.

    The narrow head gives x A + b of D numbers, the wide one (x A + b) E of more, with E [D, wider] drawn with
    orthonormal rows. The cosine of two embeddings stays the same. Each of the K groups is a random
    projection, and its cosine approximates that of the whole embedding.

    Args:
        narrow: the head whose weights are known.
        wide: the head that is set; its batch norm has the statistics 0 and 1, for images normalized as
            before.
        random: draws E.

    Raises:
        ValueError: the wide head has no batch norm, see `can_widen`.
    """
    if wide.norm is None:
        raise ValueError("expected a wide head with a batch norm, which takes the offset")
    kernel = narrow.dense.kernel.numpy().astype(np.float64)
    offset = np.zeros(_width(narrow))
    if narrow.norm is not None:
        mean, variance, beta = (
            weight.numpy().astype(np.float64)
            for weight in (narrow.norm.moving_mean, narrow.norm.moving_variance, narrow.norm.beta)
        )
        scale = 1 / np.sqrt(variance + narrow.norm.epsilon)
        kernel, offset = kernel * scale, beta - mean * scale
    columns = np.linalg.qr(random.standard_normal([_width(wide), _width(narrow)]))[0]
    wide.dense.kernel.assign((kernel @ columns.T).astype(np.float32))
    wide.norm.beta.assign((offset @ columns.T).astype(np.float32))
    wide.norm.moving_mean.assign(np.zeros(_width(wide), np.float32))
    wide.norm.moving_variance.assign(np.full(_width(wide), 1 - wide.norm.epsilon, np.float32))
