"""Pictures of what a trained model knows about images: Figures 1 to 4 of the supplement, from shards.

The same images are shown clean and under each variation, so that what changes is the variation alone.
"""

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from urfr_tf import keys
from urfr_tf.augment.choose import VARIATIONS, augment
from urfr_tf.data.manifest import load_manifest
from urfr_tf.data.stream.evaluation_stream import evaluation_batches
from urfr_tf.data.stream.settings import Augmentation, Sampling, StreamSettings
from urfr_tf.data.stream.training_stream import training_dataset
from urfr_tf.errors import UrfrError
from urfr_tf.runs.embedder import Embedder, Outputs
from urfr_tf.visualize.confidence_figure import (
    compute_confidence_change,
    draw_confidence_changes,
    draw_confidences,
)
from urfr_tf.visualize.embedding_map import draw_embedding_map, project_embeddings
from urfr_tf.visualize.extremes_figure import draw_extremes
from urfr_tf.visualize.projector import write_projector
from urfr_tf.visualize.report import Picture
from urfr_tf.visualize.uncertainty_figure import draw_uncertainties

BATCH = 32
CLEAN = "clean"
# Figure 4: so many people, so many images of each, among the first so many records.
PEOPLE, IMAGES_OF_EACH, LOOK_AT = 10, 12, 4096


@dataclass
class People:
    """Images of a few people for the map: faces uint8 [N, S, S, 3], labels int64 [N], augmented bool [N]."""

    faces: NDArray[np.uint8]
    labels: NDArray[np.int64]
    augmented: NDArray[np.bool_]


@dataclass
class PictureSet:
    """Pictures, and sentences about those that could not be made."""

    pictures: list[Picture] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def sample_kinds(
    shards: str, size: int, count: int, seed: int = 0, variations: Sequence[str] = VARIATIONS
) -> dict[str, NDArray[np.uint8]]:
    """The same training images clean and under each variation.

    Args:
        shards: folder of `urfr prepare`. size: S. count: at most so many images.
        seed: of their choice, their crops and the variations' strength. variations: which ones.

    Returns:
        Kind -> uint8 [N, S, S, 3]; "clean" first.

    Raises:
        UrfrError: a damaged folder, or a size larger than the images.
    """
    return {name: sample_kind(shards, size, count, name, seed)[0] for name in (CLEAN, *variations)}


def sample_kind(
    shards: str, size: int, count: int, kind: str, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """One kind of `sample_kinds`, with the labels of the images, which are the same of every kind.

    Returns:
        uint8 [N, S, S, 3], int64 [N].

    Raises:
        UrfrError: as `sample_kinds`.
    """
    count = min(count, load_manifest(shards).images)
    batch = min(BATCH, count)
    augmentation = Augmentation(flip=False, probabilities={} if kind == CLEAN else {kind: 1.0})
    stream = training_dataset(StreamSettings(shards, size, seed, Sampling(batch), augmentation))
    drawn = [inputs for inputs, _ in stream.take(-(-count // batch))]
    faces, labels = (
        np.concatenate([inputs[key].numpy() for inputs in drawn])[:count] for key in (keys.IMAGE, keys.LABEL)
    )
    return np.clip(np.rint(faces), 0, 255).astype(np.uint8), labels


def sample_people(shards: str, size: int, seed: int = 0) -> People:
    """The images of the ten people with the most images at hand, each as it is and once augmented.

    Args and errors as `sample_kinds`. Augmented images are blurred, and half of them occluded too.
    """
    faces, labels = [], []
    batches = evaluation_batches(shards, batch_size=BATCH, crop_size=size)
    for batch in itertools.islice(batches, LOOK_AT // BATCH):
        faces.append(np.rint(batch[keys.IMAGE].numpy()).astype(np.uint8))
        labels.append(batch[keys.LABEL].numpy())
    every, owner = np.concatenate(faces), np.concatenate(labels)
    names, counts = np.unique(owner, return_counts=True)
    people = names[np.argsort(-counts, kind="stable")[:PEOPLE]]
    chosen = np.concatenate([np.flatnonzero(owner == person)[:IMAGES_OF_EACH] for person in people])
    original = every[chosen]
    varied, _ = augment(tf.constant(original), tf.constant([seed, 4]), {"blur": 1.0, "occlusion": 0.5})
    return People(
        np.concatenate([original, np.clip(np.rint(varied.numpy()), 0, 255).astype(np.uint8)]),
        np.concatenate([owner[chosen]] * 2),
        np.repeat([False, True], len(chosen)),
    )


def embed_faces(model: Embedder, faces: NDArray[np.uint8]) -> Outputs:
    """The model's outputs for any number of faces, 32 at a time."""
    outputs = [model(faces[at : at + BATCH]) for at in range(0, len(faces), BATCH)]
    return {name: np.concatenate([output[name] for output in outputs]) for name in outputs[0]}


def draw_confidence_pictures(
    name: str, model: Embedder, kinds: Mapping[str, NDArray[np.uint8]]
) -> PictureSet:
    """Figures 1 to 3 and the extremes of each sub-embedding, for one model.

    Args:
        name: of the model, for the captions. kinds: faces of `sample_kinds` in the model's size.
    """
    confidence = {kind: embed_faces(model, faces)[keys.CONFIDENCE] for kind, faces in kinds.items()}
    everything = np.concatenate(list(confidence.values()))
    if not (np.isfinite(everything) & (everything > 0)).all():
        return PictureSet(
            missing=[f"{name} gives confidences that are not positive and finite: nothing to draw."]
        )
    if np.ptp(everything) <= 1e-5 * np.abs(everything).max():
        return PictureSet(
            missing=[f"The confidences of {name} are fixed at {everything.flat[0]:.4g}: nothing to draw."]
        )
    medians = "; ".join(f"{kind} {np.median(values):.3g}" for kind, values in confidence.items())
    faces, variance = np.concatenate(list(kinds.values())), 1 / everything
    means = np.exp(np.log(variance).mean(axis=1))
    shown = PictureSet()
    shown.pictures.append(
        Picture(
            f"Confidences of {name} over the same images, clean and under each variation (supplement, Figure "
            "1)",
            f"Histograms, one panel for each of {everything.shape[1]} sub-embeddings. Medians over all: "
            f"{medians}.",
            draw_confidences(confidence),
            wide=True,
        )
    )
    if len(confidence) > 1:
        kind_names, change = compute_confidence_change(confidence)
        at = np.unravel_index(change.argmin(), change.shape)
        shown.pictures.append(
            Picture(
                f"What each variation does to each confidence of {name}",
                f"A table of colors. The largest loss: sub-embedding {at[1] + 1} under "
                f"{kind_names[at[0]]}, to "
                f"{2 ** change[at]:.2f} of its median on clean images.",
                draw_confidence_changes(confidence),
                wide=True,
            )
        )
    shown.pictures += [
        Picture(
            f"Uncertainties of {name} beside the faces, sorted (supplement, Figures 2 and 3)",
            f"Faces in rising order of their mean uncertainty, from {means.min():.3g} to {means.max():.3g}, "
            "each with a heatmap of its sub-embeddings.",
            draw_uncertainties(faces, variance),
            wide=True,
        ),
        Picture(
            f"The faces that each sub-embedding of {name} trusts most and least",
            "One row for each sub-embedding: its five most confident and five least confident faces, clean "
            "and varied ones together.",
            draw_extremes(faces, everything),
            wide=True,
        ),
    ]
    return shown


def draw_map_picture(models: Mapping[str, Embedder], shards: str, seed: int = 0) -> PictureSet:
    """Figure 4: the same people in the space of each model, by t-SNE.

    Raises:
        UrfrError: as `sample_people`.
    """
    points = {}
    people: People | None = None
    for name, model in models.items():
        people = sample_people(shards, model.input_size, seed)
        points[name] = project_embeddings(embed_faces(model, people.faces)[keys.EMBEDDING], seed)
    if people is None:
        raise UrfrError("expected at least one model for the map of embeddings, got none")
    number = len(np.unique(people.labels))
    return PictureSet(
        [
            Picture(
                "Embeddings by t-SNE: color is the person, circles are original, triangles augmented images "
                "(supplement, Figure 4)",
                f"A map for each of {', '.join(models)}: {len(people.labels)} images of {number} people.",
                draw_embedding_map(points, people.labels, people.augmented),
                wide=len(models) > 1,
            )
        ]
    )


def write_people_projector(
    folder: str | os.PathLike[str], model: Embedder, shards: str, seed: int = 0
) -> None:
    """The people of Figure 4 for TensorBoard's embedding projector.

    Raises:
        UrfrError: as `sample_people` and `write_projector`.
    """
    people = sample_people(shards, model.input_size, seed)
    identities = load_manifest(shards).identities
    labels = {
        "person": [identities[label] for label in people.labels],
        "augmented": ["augmented" if one else "original" for one in people.augmented],
    }
    write_projector(folder, embed_faces(model, people.faces)[keys.EMBEDDING], labels, people.faces)


def draw_model_pictures(models: Mapping[str, Embedder], shards: str, count: int, seed: int = 0) -> PictureSet:
    """Every picture of the supplement for these models.

    Args:
        models: name -> loaded model. shards: folder of `urfr prepare`. count: images of Figures 1 to 3.

    Raises:
        UrfrError: a damaged folder, images smaller than a model's input.
    """
    shown = PictureSet()
    sampled: dict[int, dict[str, NDArray[np.uint8]]] = {}
    for name, model in models.items():
        if model.input_size not in sampled:
            sampled[model.input_size] = sample_kinds(shards, model.input_size, count, seed)
        one = draw_confidence_pictures(name, model, sampled[model.input_size])
        shown.pictures += one.pictures
        shown.missing += one.missing
    shown.pictures += draw_map_picture(models, shards, seed).pictures
    return shown
