"""What `urfr evaluate` does not measure: accuracy by gender, and what the figures of the results page
show."""

from pathlib import Path

import numpy as np

from urfr_tf import keys
from urfr_tf.data.attribute_tables import read_attributes
from urfr_tf.errors import UrfrError
from urfr_tf.evaluate import METRICS_FILE, SCORES_FILE
from urfr_tf.evaluation.scoring import Faces, make_faces, score_matrix
from urfr_tf.files import read_json, replacing, write_json
from urfr_tf.metrics import tar_at_far
from urfr_tf.protocols.pairs import open_pairs
from urfr_tf.runs.embedder import Embedder
from urfr_tf.runs.origin import collect_versions
from urfr_tf.training.validation import read_image_batches
from urfr_tf.visualize.embedding_map import project_embeddings
from urfr_tf.visualize.model_pictures import embed_faces, sample_kinds, sample_people

FAR = 0.01
KIND_IMAGES = 1024


def measured(out: Path, fingerprint: str, command: str | None = None) -> bool:
    """Whether the folder holds figures of the weights of this fingerprint, by this command where one is
    given."""
    if not (out / METRICS_FILE).is_file():
        return False
    content = read_json(out / METRICS_FILE)
    return content.get("fingerprint") == fingerprint and command in (None, content.get("command"))


def measure_by_gender(
    model: Embedder, score: str, validation: str, shards: str, table: str, out: Path
) -> None:
    """TAR and FAR of men and of women, at the threshold that reaches FAR 1e-2 on the validation people.

    Every pair of images of the tested people whose gender is known counts, impostors within a gender. Writes
    metrics.json like that of `urfr evaluate`; nothing where it is there already.

    Args:
        validation: shards of the people that the threshold is chosen on. shards: those of the tested people.

    Raises:
        UrfrError: no person of known gender.
    """
    if measured(out, model.fingerprint):
        return
    threshold = chosen_threshold(model, score, validation)
    people = open_pairs(shards).identity
    assert people is not None
    known, rows = read_attributes(table)
    gender = np.array([rows[name][known.index("gender")] if name in rows else np.nan for name in people])
    if np.isnan(gender).all():
        raise UrfrError(f"expected the gender of people of {shards} in {table}, but nobody's is there")
    faces = embed_shards(model, shards)
    metrics: dict[str, float] = {}
    counts: dict[str, int] = {}
    for name, value in (("male", 0), ("female", 1)):
        chosen = np.flatnonzero(gender == value)
        counts[f"{name}_images"], counts[f"{name}_people"] = len(chosen), len(np.unique(people[chosen]))
        rates = measure_acceptance(faces.take(chosen), people[chosen], score, threshold)
        for kind, (rate, pairs) in rates.items():
            counts[f"{name}_{kind}_pairs"] = pairs
            if pairs:
                metrics[f"{kind}_{name}"] = rate
    write_json(
        out / METRICS_FILE,
        {
            "protocol": "gender",
            "model": str(model.path),
            "score": score,
            "metrics": metrics,
            "counts": counts,
            "threshold": threshold,
            "fingerprint": model.fingerprint,
            "versions": collect_versions(),
        },
    )


def chosen_threshold(model: Embedder, score: str, shards: str) -> float:
    """The threshold of FAR 1e-2 over all pairs of different people's images."""
    people, faces = open_pairs(shards).identity, embed_shards(model, shards)
    assert people is not None
    pairs = np.triu_indices(len(people), 1)
    same = (people[:, None] == people[None, :])[pairs]
    return tar_at_far(score_matrix(faces, faces, score)[pairs], same, FAR, thin=True).threshold


def measure_acceptance(
    faces: Faces, people: np.ndarray, score: str, threshold: float
) -> dict[str, tuple[float, int]]:
    """Share of the genuine (tar) and of the impostor pairs (far) at or above the threshold, and their
    number."""
    hits, pairs = np.zeros(2, np.int64), np.zeros(2, np.int64)
    for start in range(0, len(people), 512):
        rows = np.arange(start, min(start + 512, len(people)))
        above = score_matrix(faces.take(rows), faces, score) >= threshold
        same = people[rows, None] == people[None, :]
        once = rows[:, None] < np.arange(len(people))[None, :]
        for index, chosen in enumerate((same & once, ~same & once)):
            hits[index] += np.count_nonzero(above & chosen)
            pairs[index] += np.count_nonzero(chosen)
    rates = hits / np.maximum(pairs, 1)
    return {name: (float(rates[i]), int(pairs[i])) for i, name in enumerate(("tar", "far"))}


def embed_shards(model: Embedder, shards: str) -> Faces:
    """All images of a folder of shards, in its order."""
    outputs = [model(images) for images, _ in read_image_batches(shards, model.input_size)]
    embedding, variance = (
        np.concatenate([output[name] for output in outputs]) for name in (keys.EMBEDDING, keys.VARIANCE)
    )
    return make_faces(embedding, variance)


def write_picture_arrays(model: Embedder, shards: str, out: Path) -> None:
    """Figure 4's points and figures, and Figure 1's confidences, on images of the training people.

    metrics.json: `augmented_near_own`, the share of hard augmented images whose nearest original image, but
    for the one they were made of, is of their own person; `augmented_heap`, how much nearer (mean cosine)
    augmented images of different people are to each other than their originals are. scores.npz: `points`
    float32 [N, 2] by t-SNE, `labels`, `augmented`, and `confidence_KIND` float32 [N, K].
    """
    if measured(out, model.fingerprint):
        return
    people = sample_people(shards, model.input_size)
    embedding = embed_faces(model, people.faces)[keys.EMBEDDING]
    near, heap = heaped(embedding, people.labels, people.augmented)
    kinds = sample_kinds(shards, model.input_size, KIND_IMAGES)
    confidence = {
        f"confidence_{kind}": embed_faces(model, faces)[keys.CONFIDENCE] for kind, faces in kinds.items()
    }
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / SCORES_FILE) as tmp_path, open(tmp_path, "wb") as file:
        np.savez(
            file,
            points=project_embeddings(embedding),
            labels=people.labels,
            augmented=people.augmented,
            **confidence,
        )
    write_json(
        out / METRICS_FILE,
        {
            "protocol": "pictures",
            "model": str(model.path),
            "score": "cosine",
            "metrics": {"augmented_near_own": near, "augmented_heap": heap},
            "counts": {"images": len(people.labels), "people": len(np.unique(people.labels))},
            "threshold": None,
            "fingerprint": model.fingerprint,
            "versions": collect_versions(),
        },
    )


def heaped(embedding: np.ndarray, labels: np.ndarray, augmented: np.ndarray) -> tuple[float, float]:
    """`augmented_near_own` and `augmented_heap` of unit embeddings [2 N, D], N originals then N augmented."""
    original, changed = embedding[~augmented], embedding[augmented]
    owner = labels[~augmented]
    cosine = changed @ original.T
    np.fill_diagonal(cosine, -np.inf)
    near = float(np.mean(owner[cosine.argmax(axis=1)] == owner))
    return near, cosine_of_strangers(changed, owner) - cosine_of_strangers(original, owner)


def cosine_of_strangers(embedding: np.ndarray, owner: np.ndarray) -> float:
    """Mean cosine of unit embeddings [N, D] of different people; `owner` [N] says whose each is."""
    return float((embedding @ embedding.T)[owner[:, None] != owner[None, :]].mean())
