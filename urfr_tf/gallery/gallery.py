"""A gallery as one class, the same for a file and for PostgreSQL."""

import json
import os
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from urfr_tf.data.names import normal_form
from urfr_tf.errors import UrfrError
from urfr_tf.evaluation.scoring import LIKELIHOOD, SCORES, check_score
from urfr_tf.gallery.calibration import (
    Calibration,
    choose_threshold,
    complete_calibration,
    list_warnings,
    read_calibration,
)
from urfr_tf.gallery.records import (
    Facts,
    Person,
    Size,
    StoredImage,
    check_model,
    describe_model,
    new_id,
    unknown_person,
)
from urfr_tf.gallery.store import Store, create_store, open_store, store_exists
from urfr_tf.gallery.templates import Faces, join_images, make_templates, score_listed
from urfr_tf.metrics.arrays import Ints
from urfr_tf.metrics.groups import split_groups
from urfr_tf.metrics.likelihood import check_embeddings
from urfr_tf.runs.default_network import DEFAULT
from urfr_tf.runs.embedder import Embedder


class Candidate(NamedTuple):
    """Somebody in the gallery whom a face may show.

    Attributes:
        person: the name.
        score: of the face against the person's template.
        images: how many images the template is made of.
        thumbnail: of one of them, a JPEG file; empty where none was kept.
    """

    person: str
    score: float
    images: int
    thumbnail: bytes = b""


class Answer(NamedTuple):
    """What a search found for one face.

    Attributes:
        candidates: the best first.
        known: whether the best candidate reaches the threshold; None without a calibration.
    """

    candidates: list[Candidate]
    known: bool | None

    @property
    def person(self) -> str | None:
        """The person whom the face shows; None for nobody in the gallery, and without a calibration."""
        return self.candidates[0].person if self.known else None


class Gallery:
    """Known people: their images, one template each, and a threshold. Use it in a `with` statement.

    One thread at a time may use an object. Several processes may use one gallery.

    Args:
        where: path of the file, or a `postgresql://` address.

    Raises:
        UrfrError: there is no gallery, it is damaged, or a newer version made it.
    """

    def __init__(self, where: str | os.PathLike[str]) -> None:
        self._store: Store = open_store(where)

    @classmethod
    def create(cls, where: str | os.PathLike[str], model: Embedder, path: str | None = None) -> "Gallery":
        """Makes an empty gallery and opens it.

        Args:
            where: path of the file to make, or the `postgresql://` address of a database.
            model: whose embeddings it is for. No other model, and no other export of it, can be used later.
            path: by which the model is found again; that of the model without it.

        Raises:
            UrfrError: there is a gallery already, or the place cannot be written.
        """
        found = path if path == DEFAULT else os.path.abspath(path or model.path)
        gallery = cls.__new__(cls)
        gallery._store = create_store(where, describe_model(model, found))
        return gallery

    @classmethod
    def open_copy(cls, where: str | os.PathLike[str], facts: Facts) -> "Gallery":
        """Opens a gallery for a copy; where there is none, an empty one of the same model is made.

        Raises:
            UrfrError: as for `create` and for opening.
        """
        if store_exists(where):
            return cls(where)
        gallery = cls.__new__(cls)
        gallery._store = create_store(where, {**facts, "id": new_id()})
        return gallery

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._store.close()

    @property
    def where(self) -> str:
        """The address, without a password."""
        return self._store.where

    @property
    def facts(self) -> Facts:
        """What the gallery says about itself."""
        return self._store.facts

    def size(self) -> Size:
        """How large it is now."""
        return self._store.size()

    def check_model(self, model: Embedder) -> None:
        """Raises UrfrError unless `model` is the one that the gallery was made with, in the same export."""
        check_model(self.facts, model, self.where)

    def add(self, people: Sequence[tuple[str, Sequence[StoredImage]]]) -> int:
        """Adds images of people in one transaction: all of them are stored, or none.

        Images that a person has already (by their SHA-256) are left out. The templates follow by themselves.

        Args:
            people: names, and images of each.

        Returns:
            How many images were new.

        Raises:
            UrfrError: a name or an image cannot be stored, the disk is full, or another process writes.
        """
        return self._store.add(people)

    def remove(self, names: Sequence[str], images: Sequence[bytes] = ()) -> int:
        """Removes people, or single images of theirs, and overwrites what was stored of them.

        Args:
            names: of the people.
            images: SHA-256 (32 bytes) of the images; all of these people without them.

        Returns:
            How many images were removed.

        Raises:
            UrfrError: somebody is not in the gallery, none of the images is theirs, or the bytes could not be
                overwritten yet because another process reads them.
        """
        return self._store.remove(names, images)

    def hashes(self, name: str) -> set[bytes]:
        """SHA-256 of every image of a person; empty where the person is not there."""
        return self._store.hashes(normal_form(name))

    def find_images(self, hashes: Sequence[bytes]) -> dict[bytes, str]:
        """Which of some images (SHA-256) are in the gallery, and whose one of them is."""
        return self._store.find_images(hashes)

    def alignment(self, model: Embedder) -> str:
        """How a photograph is to become a crop where nothing is said: as those of the gallery did."""
        aligns = self._store.alignments()
        if "mtcnn" in aligns or "points" in aligns:
            return "mtcnn"
        return "none" if aligns else model.alignment

    def people(self) -> Iterator[Person]:
        """Everybody, in the order of the names."""
        return self._store.people()

    def export(self, name: str) -> list[StoredImage]:
        """Everything that is stored of a person.

        Raises:
            UrfrError: the person is not in the gallery.
        """
        found = self._store.export(normal_form(name))
        if found is None:
            raise unknown_person(name, self.where)
        return found

    def template(self, name: str, score: str = LIKELIHOOD) -> Faces:
        """The template of a person: embedding float32 [1, K, d], variance float32 [1, K].

        Raises:
            UrfrError: the person is not in the gallery, or there is no such score.
        """
        return make_templates(*join_images([self.export(name)], self.facts["groups"]), score)

    def faults(self) -> list[str]:
        """Checks everything that is stored; gives a sentence for each fault.

        A removal that was interrupted is finished, and a search matrix that does not fit is deleted.
        """
        return self._store.faults()

    def copy_to(self, other: "Gallery") -> int:
        """Copies all people and calibrations into another gallery of the same model; gives the images.

        A person is copied whole. The same call goes on after an interruption.

        Raises:
            UrfrError: the other gallery is of another model, or cannot be written.
        """
        if other.facts["fingerprint"] != self.facts["fingerprint"]:
            raise UrfrError(
                f"expected galleries of one model, but {self.where} was made with {self.facts['model']} and "
                f"{other.where} with {other.facts['model']}"
            )
        images, batch = 0, []
        with other._store.bulk():
            for person in self.people():
                batch.append((person.name, self.export(person.name)))
                if sum(len(stored) for _, stored in batch) >= _COPIED:
                    images += other.add(batch)
                    batch = []
            images += other.add(batch)
        for score in SCORES:
            if (content := self._store.calibration(score)) is not None:
                other._store.write_calibration(score, content)
        return images

    def search(
        self,
        embedding: Faces | ArrayLike,
        variance: ArrayLike | None = None,
        *,
        top: int = 5,
        score: str = LIKELIHOOD,
    ) -> list[Answer]:
        """Searches faces.

        Args:
            embedding: float [F, D] as the model gives it, or `Faces`.
            variance: float [F, K] as the model gives it.
            top: how many candidates are wanted.
            score: `likelihood`, `cosine` or `weighted`.

        Returns:
            An answer for each face. Scores are computed from what is stored, in float32 with sums in float64.

        Raises:
            UrfrError: another shape than the gallery's, NaN, another score, or nobody is in the gallery.
        """
        check_score(score)
        if top < 1:
            raise UrfrError(f"expected at least 1 candidate, but got {top}")
        faces = embedding if isinstance(embedding, Faces) else self._faces(embedding, variance)
        calibration = self.calibration(score)
        answers = []
        for start in range(0, len(faces.embedding), _SEARCHED):
            some = faces.take(slice(start, start + _SEARCHED))
            for candidates in self._score(some, self._store.nearest(some, score, top), score):
                known = None
                if calibration is not None:
                    known = bool(candidates) and candidates[0].score >= calibration["threshold"]
                answers.append(Answer(candidates[:top], known))
        return answers

    def _faces(self, embedding: object, variance: object) -> Faces:
        groups, dim = self.facts["groups"], self.facts["dim"]
        flat, spread = np.asarray(embedding, np.float32), np.asarray(variance, np.float32)
        if flat.ndim != 2 or flat.shape[1] != dim or spread.shape != (len(flat), groups):
            raise UrfrError(
                f"expected embeddings [F, {dim}] and variances [F, {groups}] to search for, but got "
                f"{list(flat.shape)} and {list(spread.shape)}"
            )
        return Faces(*check_embeddings(split_groups(flat, groups), spread, ""))

    def _score(self, faces: Faces, people: list[Ints], score: str) -> list[list[Candidate]]:
        """Scores each face against its people, the best first; names decide between equal scores."""
        found = self._store.images_of(np.unique(np.concatenate([np.zeros(0, np.int64), *people])).tolist())
        if not found:
            return [[] for _ in people]
        images, person = join_images([stored for _, stored in found.values()], self.facts["groups"])
        templates = make_templates(images, person, score)
        place = {identity: row for row, identity in enumerate(found)}
        pairs = [(face, each) for face, ids in enumerate(people) for each in ids.tolist() if each in place]
        left, right = np.array([(face, place[each]) for face, each in pairs], np.int64).reshape(-1, 2).T
        candidates: list[list[Candidate]] = [[] for _ in people]
        scores = score_listed(faces.take(left), templates.take(right), score)
        for (face, each), value in zip(pairs, scores.tolist(), strict=True):
            name, stored = found[each]
            thumbnail = next((one.thumbnail for one in stored if one.thumbnail), b"")
            candidates[face].append(Candidate(name, value, len(stored), thumbnail))
        return [sorted(each, key=lambda one: (-one.score, one.person)) for each in candidates]

    def calibrate(
        self,
        faces: Faces,
        people: Sequence[str],
        *,
        fpir: float = 1e-2,
        score: str = LIKELIHOOD,
        align: str = "none",
        refused: int = 0,
        thin: bool = False,
    ) -> Calibration:
        """Chooses and stores the threshold at which a share of unknown faces is taken for somebody.

        Args:
            faces: of people who are not in the gallery.
            people: whose each of them is.
            fpir: the share, above 0 and up to 1.
            score: `likelihood`, `cosine` or `weighted`.
            align: how the photographs became crops.
            refused: photographs of these people that gave no face.
            thin: choose a threshold on too few faces or people, too, and mark it.

        Raises:
            UrfrError: too few faces or people, or somebody of them is in the gallery.
        """
        size = self.size()
        if not size.people:
            raise UrfrError(f"expected people in the gallery {self.where}, but it is empty: add them first")
        known = sorted({name for name in people if self.hashes(name)})
        if known:
            raise UrfrError(
                f"expected photographs of people who are not in the gallery {self.where}, but "
                f"{len(known)} of them are, for instance {known[0]!r}"
            )
        best = [answer.candidates[0].score for answer in self.search(faces, top=1, score=score)]
        chosen = choose_threshold(np.array(best), people, fpir, thin)
        calibration = complete_calibration(chosen, score, self.facts, size, align, refused)
        self._store.write_calibration(score, json.dumps(calibration))
        return calibration

    def calibration(self, score: str = LIKELIHOOD) -> Calibration | None:
        """The calibration of a score; None without one."""
        return read_calibration(self._store.calibration(score), score, self.facts, self.where)

    def warnings(self, score: str = LIKELIHOOD, align: str | None = None) -> list[str]:
        """What somebody who relies on the threshold of a score should know, a sentence each."""
        return list_warnings(self.calibration(score), score, self.size(), align)


_COPIED = 4096  # images in one transaction of a copy
_SEARCHED = 48  # faces whose candidates are in memory together
