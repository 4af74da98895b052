"""An evaluation of the size of IJB-C on made-up embeddings: `python -m urfr_tf.bench.ijbc [--json]`.

469,375 images of 138,836 media in 23,124 templates, 15,658,489 listed pairs of which 19,557 are genuine:
pooled and scored by likelihood, TAR at six FARs. Says the seconds of each step and the largest memory of the
process.
"""

import argparse
import json
import resource
import time

import numpy as np

from urfr_tf.bench.score import GROUPS, WIDTH, make_templates
from urfr_tf.bench.spread import BenchResult
from urfr_tf.evaluation.measurement import plan_measurement
from urfr_tf.evaluation.pooling import pool_templates
from urfr_tf.evaluation.request import EvaluationRequest
from urfr_tf.evaluation.scoring import Faces
from urfr_tf.protocols.protocol import Images, Split, Templates, Verification
from urfr_tf.runs.origin import collect_versions
from urfr_tf.system.processor import describe_machine

IMAGES, MEDIA, TEMPLATES, PAIRS, GENUINE = 469_375, 138_836, 23_124, 15_658_489, 19_557


def run(args: argparse.Namespace) -> BenchResult:
    """Measures once; `memory_bytes` is the peak of the whole process."""
    protocol, faces = make_set(IMAGES, MEDIA, TEMPLATES, PAIRS, GENUINE)
    request = EvaluationRequest("likelihood")
    start = time.perf_counter()
    pool_templates(protocol, faces, request)
    pooled = time.perf_counter()
    result = plan_measurement(protocol, request).measure(faces)
    seconds = {"pool": pooled - start, "evaluate": time.perf_counter() - pooled}
    return {
        "machine": describe_machine(),
        "versions": collect_versions(),
        "seconds": {name: {"min": value, "median": value, "max": value} for name, value in seconds.items()},
        "ratios": {"pool_over_evaluate": seconds["pool"] / seconds["evaluate"]},
        "memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "metrics": result.metrics,
    }


def make_set(images: int, media: int, templates: int, pairs: int, genuine: int) -> tuple[Templates, Faces]:
    """Makes random templates of two per subject, genuine pairs among them, the other pairs at random."""
    random = np.random.default_rng(0)
    embedding = np.empty((images, GROUPS, WIDTH), np.float32)
    variance = np.empty((images, GROUPS), np.float32)
    medium = np.sort(np.concatenate([np.arange(media), random.integers(0, media, images - media)]))
    of_medium = np.sort(
        np.concatenate([np.arange(templates), random.integers(0, templates, media - templates)])
    )
    template = of_medium[medium]
    subject = np.arange(templates) // 2
    centers, _ = make_templates(random, subject[-1] + 1)
    for start in range(0, images, 1 << 14):
        rows = slice(start, min(start + (1 << 14), images))
        noise, variance[rows] = make_templates(random, rows.stop - rows.start)
        mixed = centers[subject[template[rows]]] + 2 * noise
        embedding[rows] = mixed / np.linalg.norm(mixed, axis=2, keepdims=True)
    mates = 2 * random.integers(0, templates // 2, genuine)
    first = np.concatenate([mates, random.integers(0, templates, pairs - genuine)])
    second = np.concatenate([mates + 1, random.integers(0, templates, pairs - genuine)])
    task = Verification(first, second, subject[first] == subject[second])
    protocol = Templates(
        "ijbc",
        Images(images, lambda: iter(())),
        np.arange(images),
        template,
        medium,
        subject.astype(str),
        (Split(task),),
    )
    return protocol, Faces(
        embedding, variance, np.ones(images, bool), random.uniform(10, 30, images).astype(np.float32)
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    print(json.dumps(run(arguments), indent=None if arguments.json else 1))
