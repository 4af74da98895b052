"""What a protocol is: images in order, and who is compared with whom."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from urfr_tf.data.names import shown, to_bytes
from urfr_tf.data.sources.item import Item
from urfr_tf.metrics.arrays import Bools, Ints, Names

Facts = dict[str, object]
"""What is written next to the figures of a protocol."""


@dataclass(frozen=True)
class Images:
    """`count` images; `stream` gives them as items, in order, every time it is called.

    Attributes:
        count: how many there are.
        stream: gives them as items, in order.
        aligned: they are crops that need no face detection (shards, .bin sets).
        ignored: what is to be said about hidden and system files beside them; empty where there were none.
        refused: files in people's folders that are no images, and why. They are not among the images, and
            count as nobody's missing face.
    """

    count: int
    stream: Callable[[], Iterator[Item]]
    aligned: bool = False
    ignored: str = ""
    refused: Mapping[str, str] = field(default_factory=dict)

    def refused_kinds(self) -> dict[str, int]:
        """Counts the files that are no images by the kind of the reason."""
        return dict(sorted(Counter(reason.partition(":")[0] for reason in self.refused.values()).items()))

    def remarks(self) -> list[str]:
        """What the user is told about the files that are not among the images, a sentence each."""
        remarks = [self.ignored] if self.ignored else []
        if self.refused:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.refused_kinds().items())
            name, reason = next(iter(self.refused.items()))
            remarks.append(
                f"refused: {kinds} (for instance {shown(to_bytes(name))}: {reason}); not counted as faces"
            )
        return remarks


@dataclass(frozen=True)
class Pairs:
    """Pairs of images.

    Attributes:
        first, second: int64 [P], rows of `images`; when probes are degraded, `second` is the probe.
        same: bool [P].
        fold: int64 [P].
        identity: str [N], the person of each image, or None where the list does not say.
        counted: bool [P], the pairs that accuracy is measured on, as many genuine as impostors in a fold;
            the others serve TAR at FAR. All of them in published lists.
        facts: what should be written next to the figures.
    """

    name: str
    images: Images
    first: Ints
    second: Ints
    same: Bools
    fold: Ints
    identity: Names | None
    counted: Bools
    facts: Facts = field(default_factory=dict)

    def people(self) -> Ints:
        """A person for each image: `identity`, or the groups that genuine pairs connect, int [N]."""
        if self.identity is None:
            return connect(self.images.count, self.first[self.same], self.second[self.same])
        return np.unique(self.identity, return_inverse=True)[1]


@dataclass(frozen=True)
class Verification:
    """Pairs of templates, int64 [P] and bool [P]; `second` is the probe."""

    first: Ints
    second: Ints
    same: Bools


@dataclass(frozen=True)
class Identification:
    """A search of probe templates in galleries.

    Attributes:
        name: put before the names of its figures, "" for none.
        probes: int64 [P], templates.
        galleries: one or two arrays int64 of templates. Closed-set ranks are those in all of them,
            TPIR is averaged over them.
        ranks: which ranks are reported.
        fpirs: at which FPIR a TPIR is reported.
        precision: report the mean average precision.
    """

    name: str
    probes: Ints
    galleries: tuple[Ints, ...]
    ranks: tuple[int, ...] = (1, 5, 10)
    fpirs: tuple[float, ...] = (0.01, 0.1)
    precision: bool = False


@dataclass(frozen=True)
class Split:
    """One of the repetitions that a protocol's figures are averaged over; most protocols have one."""

    verification: Verification | None
    identifications: tuple[Identification, ...] = ()


@dataclass(frozen=True)
class Templates:
    """Templates of images, grouped by medium, and what is done with them.

    Attributes:
        image, template, medium: int64 [R], an image, the template that it belongs to and its medium
            within it (the frames of a video are one medium).
        subject: str [T], the person of each template; "" for a distractor, who is nobody's mate. A template
            may have no images; it is then not found, like one none of whose images has an embedding.
    """

    name: str
    images: Images
    image: Ints
    template: Ints
    medium: Ints
    subject: Names
    splits: tuple[Split, ...]
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class PairLists:
    """Lists of pairs over the same images (CFP's frontal-frontal and frontal-profile), by name."""

    name: str
    images: Images
    by_list: dict[str, Pairs]


def connect(count: int, first: Ints, second: Ints) -> Ints:
    """Numbers the connected group of each of `count` images under the pairs given, int [N]."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    groups: Ints = connected_components(edges, directed=False)[1]
    return groups


@dataclass(frozen=True)
class Distractors:
    """Labeled probes and images of nobody.

    Attributes:
        images: the probes, then the distractors.
        identity: str [P], the person of each probe.
    """

    name: str
    images: Images
    identity: Names
    facts: Facts = field(default_factory=dict)


AnyProtocol = Pairs | PairLists | Templates | Distractors
