"""Pair scores, ROC, CMC and template fusion: arrays in, numbers out, no files."""

from urfr_tf.metrics.bootstrap import tar_intervals
from urfr_tf.metrics.calibration import calibrate
from urfr_tf.metrics.cosine import cosine_of_pairs, cosine_score
from urfr_tf.metrics.folds import ten_fold_accuracy
from urfr_tf.metrics.fusion import Template, average, fuse
from urfr_tf.metrics.likelihood import likelihood_of_pairs, likelihood_score
from urfr_tf.metrics.reject import error_against_reject
from urfr_tf.metrics.roc import roc, tar_at_far
from urfr_tf.metrics.scored_pairs import ScoredPairs
from urfr_tf.metrics.search import cmc, mean_average_precision, tpir_at_fpir

__all__ = [
    "ScoredPairs",
    "Template",
    "average",
    "calibrate",
    "cmc",
    "cosine_of_pairs",
    "cosine_score",
    "error_against_reject",
    "fuse",
    "likelihood_of_pairs",
    "likelihood_score",
    "mean_average_precision",
    "roc",
    "tar_at_far",
    "tar_intervals",
    "ten_fold_accuracy",
    "tpir_at_fpir",
]
