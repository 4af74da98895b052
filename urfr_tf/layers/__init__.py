"""Sub-embeddings, confidence, prototypes, variation classifier."""

from urfr_tf.layers.confidence import Confidence
from urfr_tf.layers.cpu.batch_norm import BatchNormalization
from urfr_tf.layers.cpu.convolution import Conv2D
from urfr_tf.layers.cpu.depthwise import DepthwiseConv2D
from urfr_tf.layers.cpu.prelu import PReLU
from urfr_tf.layers.prototypes import Prototypes
from urfr_tf.layers.sub_embedding import SubEmbedding
from urfr_tf.layers.variation_classifier import VariationClassifier

__all__ = [
    "BatchNormalization",
    "Confidence",
    "Conv2D",
    "DepthwiseConv2D",
    "PReLU",
    "Prototypes",
    "SubEmbedding",
    "VariationClassifier",
]
