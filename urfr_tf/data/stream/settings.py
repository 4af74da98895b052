"""The settings of a stream of training batches: plain values, checked where they are used."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sampling:
    """Which images form a batch.

    Attributes:
        batch_size: B, the images of a batch over all replicas and worker shares.
        shuffle_buffer: records among which the next one is drawn. The shards are shuffled as well.
        images_per_identity: with M > 1 a batch is B / M groups of M images of one person (P x K sampling).
            The last n mod M images of a person are left out of a pass. At most M - 1 encoded images of each
            person wait in memory for their group.
        groups_per_identity: with G > 0 a pass takes only the first G groups of each person, which balances
            the classes. 0 takes all.
    """

    batch_size: int
    shuffle_buffer: int = 16384
    images_per_identity: int = 1
    groups_per_identity: int = 0


@dataclass(frozen=True)
class Augmentation:
    """What happens to the images of a batch.

    Attributes:
        flip: whether an image is mirrored with probability 1/2.
        probabilities: variation -> probability on each image.
        sizes: smallest and largest size of a variation, as `augment` takes them.
        turned: the pose variation takes the faces that `turn_shards` has prepared beside the shards, copy p
            mod copies in pass p, and turns nothing itself.
        light: probability that brightness and contrast of an image change (`relight`), after everything else.
    """

    flip: bool = True
    probabilities: Mapping[str, float] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    turned: bool = False
    light: float = 0.0


@dataclass(frozen=True)
class WorkerShare:
    """Which share of the shards a stream reads; it fills B / count places of every batch from them.

    Attributes:
        index: of this share, from 0.
        count: the number of shares that the shards are dealt out to.
    """

    index: int = 0
    count: int = 1


@dataclass(frozen=True)
class StreamSettings:
    """A stream of training batches.

    Attributes:
        shards: folder of `urfr prepare`.
        crop_size: S, the side of the crops in pixels, at most that of the stored images.
        seed: another seed gives another stream.
        sampling: which images form a batch.
        augmentation: what happens to them.
        worker_share: which of the shards are read.
        soft_labels: names of soft labels that lie beside the shards.
        keep_original: whether the crops before augmentation come too, as `original` uint8 [B, S, S, 3].
        cache: decode every image once and keep its pixels in memory, N x size x size x 3 bytes.
        service: HOST:PORT of a tf.data service whose workers make the batches (see `service`). The stream is
            the same. The workers find the shards at the same absolute path. Empty: this process makes them.
    """

    shards: str
    crop_size: int
    seed: int
    sampling: Sampling
    augmentation: Augmentation = Augmentation()
    worker_share: WorkerShare = WorkerShare()
    soft_labels: tuple[str, ...] = ()
    keep_original: bool = False
    cache: bool = False
    service: str = ""
