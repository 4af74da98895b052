"""Sub-embeddings, confidence, prototypes, variation classifier; `cpu` holds kernels for Keras's layers."""

from urfr_tf.layers.confidence import Confidence
from urfr_tf.layers.prototypes import Prototypes
from urfr_tf.layers.sub_embedding import SubEmbedding
from urfr_tf.layers.variation_classifier import VariationClassifier

__all__ = ["Confidence", "Prototypes", "SubEmbedding", "VariationClassifier"]
