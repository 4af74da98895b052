"""Two photographs -> the scores of their faces (method, section 6)."""

from typing import Any

from urfr_tf import keys
from urfr_tf.embedding.photographs import crops
from urfr_tf.errors import UrfrError
from urfr_tf.metrics.groups import split_groups
from urfr_tf.runs.embedder import Embedder


def compare_photographs(model: Embedder, a: str, b: str, align: str) -> dict[str, Any]:
    """Compares the faces of two files.

    Returns:
        cosine (-1..1), likelihood (mutual likelihood, no fixed range), threshold (the calibrated
        {"score", "threshold"}, or None), same (score >= threshold, or None without a threshold), a, b, align.

    Raises:
        UrfrError: a file that is no image, or without a face where `align` is mtcnn.
    """
    import numpy as np

    from urfr_tf.metrics import cosine_score, likelihood_score

    found: list[np.ndarray] = []
    for photograph in crops([a, b], align, model.aligned_size):
        if photograph.crop is None:
            raise UrfrError(
                f"expected a photograph of a face, but {photograph.path} is refused: {photograph.refused}"
            )
        found.append(photograph.crop)
    outputs = model(np.stack(found))
    variance = outputs[keys.VARIANCE]
    unit = split_groups(outputs[keys.EMBEDDING], model.groups)
    scores = {
        "cosine": float(cosine_score(unit[:1], unit[1:])[0]),
        "likelihood": float(likelihood_score(unit[:1], variance[:1], unit[1:], variance[1:])[0]),
    }
    limit = model.threshold
    same = None if limit is None else scores[limit["score"]] >= limit["threshold"]
    return {"a": a, "b": b, "align": align, **scores, "threshold": limit, "same": same}
