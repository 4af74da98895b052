"""`initial_weights`: the embedding network of another run as the start of this one."""

from pathlib import Path

import keras

from urfr_tf.config import Experiment, read_run_config
from urfr_tf.errors import UrfrError
from urfr_tf.models.inference import build_inference
from urfr_tf.run_folder import WEIGHTS


def load_network_weights(network: keras.Model, config: Experiment) -> None:
    """Copies what fits of the run `config.initial_weights` into an embedding network, layer by layer.

    The backbone must fit; heads of another shape keep their own start, and are named.

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
    fresh = []
    for layer in network.layers:
        if not layer.weights:
            continue
        found = available.get(layer.name)
        shapes = [weight.shape for weight in found.weights] if found else None
        if found is not None and shapes == [weight.shape for weight in layer.weights]:
            layer.set_weights(found.get_weights())
        elif layer.name in ("embedding", "confidence"):
            fresh.append(layer.name)
        else:
            raise UrfrError(
                f"the run {run} of initial_weights has another backbone: layer {layer.name} does not fit "
                f"(there {theirs.model.backbone} of width {theirs.model.width}, here {config.model.backbone} "
                f"of width {config.model.width})"
            )
    kept = f"; {' and '.join(fresh)} start anew" if fresh else ""
    print(f"initial weights from {run}{kept}")
