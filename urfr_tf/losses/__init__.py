"""Identification, regularizer, variation losses, mutual likelihood."""

from urfr_tf.losses.attribute_loss import attribute_loss, confusion
from urfr_tf.losses.identification import ConfidenceAwareIdentification, identification
from urfr_tf.losses.mutual_likelihood import mutual_likelihood
from urfr_tf.losses.partial_identification import partial_identification
from urfr_tf.losses.regularizer import confidence_regularizer
from urfr_tf.losses.teacher import teacher_distance
from urfr_tf.losses.variation import variation_losses

__all__ = [
    "ConfidenceAwareIdentification",
    "attribute_loss",
    "confidence_regularizer",
    "confusion",
    "identification",
    "mutual_likelihood",
    "partial_identification",
    "teacher_distance",
    "variation_losses",
]
