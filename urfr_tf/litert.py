"""The interpreter of TFLite files. Every module takes `Interpreter` and `OpResolverType` from here.

Up to TensorFlow 2.15 they are TensorFlow's own. Newer versions announce the end of `tf.lite.Interpreter`; the
package ai-edge-litert takes its place and reads the same files.
"""

import tensorflow as tf

from urfr_tf.keras2 import KERAS_2_IS_TF_KERAS

if KERAS_2_IS_TF_KERAS:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
else:
    Interpreter, OpResolverType = tf.lite.Interpreter, tf.lite.experimental.OpResolverType

__all__ = ["Interpreter", "OpResolverType"]
