"""One experiment is one tree of dataclasses: every key with its default, its meaning and its range.

The dataclasses are tf-models-official's `Config`. `load_config.py` reads them from YAML. `check.py` checks
what that library does not: the type of every value, its range, and combinations that cannot work.
"""

import dataclasses

from official.modeling import hyperparams, optimization

from urfr_tf.config.setting import (
    AT_LEAST_ONE,
    NOT_NEGATIVE,
    POSITIVE,
    PROBABILITY,
    Limits,
    describe,
    setting,
)

AUGMENTATIONS = ("blur", "occlusion", "pose", "resolution")
SIZED = {"blur": (3, 31), "resolution": (8, 64)}
"""Augmentations whose sizes can be set, and between which bounds."""
_RATE = Limits(above=0, advice="train.freeze_backbone_epochs freezes")
_DECAY = Limits(minimum=0, below=1)
_SHARE = Limits(above=0, maximum=1, noun="a share")


@dataclasses.dataclass
class DataConfig(hyperparams.Config):
    """Where the shards are, and how a batch is drawn from them."""

    train: str = setting("", "Folder of the shards to train on, made by `urfr prepare`.")
    validation: str = setting("", "Folder of the shards to measure on after an epoch; empty for none.")
    batch_size: int = setting(64, "Images of a batch over all replicas.", limits=AT_LEAST_ONE)
    shuffle_buffer: int = setting(
        16384, "Images that each worker share shuffles at a time.", limits=AT_LEAST_ONE
    )
    worker_shares: int = setting(
        1,
        "Number of shares that the shards are divided into. Each share fills the same number of places in "
        "every batch, and a worker reads only the files of its shares.",
        limits=AT_LEAST_ONE,
    )
    cache: bool = setting(False, "Keep the decoded images in memory.")
    flip: bool = setting(True, "Mirror each image with a probability of one half.")
    turned: bool = setting(
        False,
        "Take the faces that `augment.pose` turns from those that `urfr turn` wrote next to the shards.",
    )
    soft_labels: list[str] = dataclasses.field(
        default_factory=list,
        metadata=describe("Names of the mined variations, as `urfr mine` wrote them next to the shards."),
    )


@dataclasses.dataclass
class AugmentConfig(hyperparams.Config):
    """Probability of each variation on each image; 0 leaves it out (method, section 3)."""

    blur: float = setting(0.0, "Probability of a Gaussian blur.", limits=PROBABILITY)
    occlusion: float = setting(0.0, "Probability of an occluded area.", limits=PROBABILITY)
    pose: float = setting(0.0, "Probability of a face that is turned in depth.", limits=PROBABILITY)
    resolution: float = setting(0.0, "Probability of a lower resolution.", limits=PROBABILITY)
    light: float = setting(
        0.0,
        "Probability of another brightness and contrast. It is not in the paper, and decorrelation does not "
        "see it.",
        limits=PROBABILITY,
    )
    blur_sizes: list[int] = dataclasses.field(
        default_factory=lambda: [3, 11],
        metadata=describe(
            "The smallest and the largest kernel of the blur, both odd. Each size is equally likely.",
            limits=Limits(*SIZED["blur"]),
        ),
    )
    resolution_sizes: list[int] = dataclasses.field(
        default_factory=lambda: [16, 64],
        metadata=describe(
            "The fewest and the most pixels a side of the resolution. Each size is equally likely.",
            limits=Limits(*SIZED["resolution"]),
        ),
    )


@dataclasses.dataclass
class ModelConfig(hyperparams.Config):
    """The network."""

    backbone: str = setting(
        "ir100",
        "The convolutional network.",
        choices=("ir10", "ir18", "ir34", "ir50", "ir100", "mobilefacenet", "dlib_resnet"),
    )
    width: float = setting(1.0, "Factor on the number of channels of the backbone.", limits=POSITIVE)
    input_size: int = setting(
        100, "Side of the crop that the network sees, in pixels.", limits=Limits(minimum=32, unit="px")
    )
    zero_pixel: str = setting(
        "gray",
        "The pixel that the network sees as 0, beyond the border of the image too: gray (127.5), black, or "
        "the mean of ImageNet's photographs. Imported networks have their own.",
        choices=("gray", "black", "imagenet"),
    )
    embedding_dim: int = setting(512, "D, the length of the embedding.", limits=AT_LEAST_ONE)
    groups: int = setting(16, "K, the number of sub-embeddings.", limits=AT_LEAST_ONE)


@dataclasses.dataclass
class ConfidenceConfig(hyperparams.Config):
    """The confidence head and its start (method, section 2)."""

    learned: bool = setting(
        True, "Learn the confidences. If false, s is `initial`; with one group this is CosFace of scale s."
    )
    norm: bool = setting(False, "Show the confidence head the norm of the features as well.")
    initial: float = setting(48.0, "The confidence s of every image at the start.")
    minimum: float = setting(1.0, "The smallest s.")
    maximum: float = setting(245.0, "The largest s.")
    hold_steps: int = setting(0, "Number of steps for which s is held at `initial`.", limits=NOT_NEGATIVE)
    rate: float = setting(
        1.0, "Factor on the learning rate of the confidence head after `hold_steps`.", limits=NOT_NEGATIVE
    )


@dataclasses.dataclass
class HeadConfig(hyperparams.Config):
    """Many identities: which prototypes a step compares with, and where they are stored."""

    sharded: bool = setting(False, "Give each of R replicas C / R prototypes with their momentum.")
    sample_rate: float = setting(
        1.0, "Share of the identities that are not in the batch which a step compares with.", limits=_SHARE
    )
    sample_count: int = setting(
        0, "Number of these identities instead of a share; 0 for `sample_rate`.", limits=NOT_NEGATIVE
    )
    start: str = setting(
        "random",
        "How the prototypes start: at random, or as class means of the embeddings of `initial_weights`.",
        choices=("random", "class_means"),
    )

    @property
    def partial(self) -> bool:
        """Whether the prototypes are stored outside of the graph. Otherwise they are an ordinary layer."""
        return self.sharded or self.sample_rate < 1 or self.sample_count > 0


@dataclasses.dataclass
class LossConfig(hyperparams.Config):
    """The margin and the weight of each loss term (method, sections 2 and 4)."""

    margin: float = setting(
        30.0, "Margin in units of the logits: CosFace's margin times s.", limits=NOT_NEGATIVE
    )
    margin_warmup_steps: int = setting(
        0, "Number of steps in which the margin grows from 0.", limits=NOT_NEGATIVE
    )
    regularizer: float = setting(0.001, "Weight of the regularizer of the confidences.", limits=NOT_NEGATIVE)
    cls: float = setting(2.0, "Weight of the classification loss of decorrelation.", limits=NOT_NEGATIVE)
    adv: float = setting(2.0, "Weight of the adversarial loss of decorrelation.", limits=NOT_NEGATIVE)
    teacher: float = setting(
        0.0,
        "Weight of the distance between the embedding of an augmented image and the embedding that the "
        "network of `initial_weights` gives for it before augmentation. It is not in the paper.",
        limits=NOT_NEGATIVE,
    )


@dataclasses.dataclass
class DecorrelationConfig(hyperparams.Config):
    """Variation decorrelation."""

    enabled: bool = setting(False, "Train with variation decorrelation.")
    average: bool = setting(
        False,
        "Weigh the two losses as means over their T and T (T - 1) terms instead of the paper's sums, so that "
        "the weight of the identification does not depend on the number T of variations.",
    )
    mask_seed: int = setting(0, "Seed of the masks that assign groups to variations.")
    classifier_rate: float = setting(0.1, "Learning rate of the variation classifier C_v.")


@dataclasses.dataclass
class AttributesConfig(hyperparams.Config):
    """The attribute network theta_A (task: attributes). Its targets are `data.soft_labels`."""

    adversary: str = setting(
        "identity",
        "What the features must not tell: nothing, the identity, or the set of the image (`domain`).",
        choices=("none", "identity", "domain"),
    )
    adversary_weight: float = setting(0.1, "Weight of the adversarial loss.")
    adversary_rate: float = setting(0.1, "Learning rate of the adversary.")
    balanced: bool = setting(
        False, "Weigh the two classes of each attribute as if they were equally frequent."
    )
    domain: str = setting(
        "",
        "With `adversary: domain`, the soft label that is 0 for images with known attributes and 1 for "
        "images of the set to be mined, whose attributes do not count. It is not a target.",
    )


@dataclasses.dataclass
class UncertaintyConfig(hyperparams.Config):
    """The uncertainty stage (task: uncertainty). Its batches hold groups of images of one person."""

    images_per_identity: int = setting(4, "Number of images of a group.", limits=Limits(minimum=2))
    groups_per_identity: int = setting(
        0,
        "Largest number of groups of a person in an epoch. 1 is class-balanced, 0 takes all.",
        limits=NOT_NEGATIVE,
    )

    @property
    def grouping(self) -> dict[str, int]:
        """These settings as the arguments of the input pipeline."""
        return {
            "images_per_identity": self.images_per_identity,
            "groups_per_identity": self.groups_per_identity,
        }


@dataclasses.dataclass
class LayerRatesConfig(hyperparams.Config):
    """Factors on the learning rate, and on the weight decay that follows it, for fine-tuning.

    The confidence head has `confidence.rate`.
    """

    backbone: float = setting(1.0, "Factor of the last layer of the backbone.", limits=_RATE)
    backbone_first: float | None = setting(
        None,
        "Factor of the first layer of the backbone. The layers between are on a geometric line. Without it "
        "all layers have `backbone`.",
        limits=_RATE,
    )
    embedding: float = setting(1.0, "Factor of the embedding layer.", limits=_RATE)
    prototypes: float = setting(1.0, "Factor of the prototypes.", limits=_RATE)


@dataclasses.dataclass
class OptimizerConfig(hyperparams.Config):
    """SGD with momentum."""

    momentum: float = setting(0.9, "Momentum of SGD.", limits=_DECAY)
    nesterov: bool = setting(False, "Use Nesterov's momentum.")
    weight_decay: float = setting(5e-4, "Weight decay in the usual coupled units: 5e-4 is an L2 of 5e-4.")
    clip_norm: float = setting(0.0, "Largest norm of all gradients together; 0 for no clipping.")
    ema_decay: float = setting(
        0.0, "Decay of the moving average of the weights that is evaluated; 0 for none.", limits=_DECAY
    )
    layer_rates: LayerRatesConfig = dataclasses.field(default_factory=LayerRatesConfig)
    learning_rate: optimization.LrConfig = dataclasses.field(default_factory=optimization.LrConfig)
    warmup: optimization.WarmupConfig = dataclasses.field(default_factory=optimization.WarmupConfig)


@dataclasses.dataclass
class TrainConfig(hyperparams.Config):
    """Length of the run, what it saves, and what it freezes."""

    epochs: int = setting(18, "Number of epochs.", limits=AT_LEAST_ONE)
    steps_per_epoch: int = setting(
        0, "Number of steps of an epoch; 0 for one pass over the data.", limits=NOT_NEGATIVE
    )
    checkpoint_steps: int = setting(
        0, "Number of steps between checkpoints inside an epoch; 0 for one at the end of each epoch only."
    )
    keep_checkpoints: int = setting(3, "Number of checkpoints that are kept.", limits=AT_LEAST_ONE)
    validate_every: int = setting(
        1, "Number of epochs between measurements on `data.validation`; the last is measured too."
    )
    tensorboard: bool = setting(True, "Write figures and pictures for TensorBoard.")
    accumulate: int = setting(
        1, "Number of micro-batches in which a replica takes its share of a batch.", limits=AT_LEAST_ONE
    )
    freeze_backbone_epochs: int = setting(
        0, "Number of first epochs in which only the heads learn.", limits=NOT_NEGATIVE
    )
    freeze_batch_norm: str = setting(
        "none",
        "Which batch norms keep their statistics, scale and offset: those of the backbone, or all, with the "
        "embedding's.",
        choices=("none", "backbone", "all"),
    )


@dataclasses.dataclass
class RuntimeConfig(hyperparams.Config):
    """Where the run runs."""

    strategy: str = setting(
        "mirrored",
        "How the work is divided among devices and machines.",
        choices=("off", "mirrored", "multi_worker_mirrored", "tpu"),
    )
    replicas: int = setting(
        0, "Number of logical CPU devices, for tests; 0 for all GPUs.", limits=NOT_NEGATIVE
    )
    precision: str = setting(
        "auto",
        "Numeric precision. `auto` is the fastest of this machine, and config.yaml of the run names it.",
        choices=("auto", "float32", "mixed_bfloat16", "mixed_float16"),
    )
    deterministic: bool = setting(
        True, "Use deterministic operations, so that a run can be repeated bit for bit."
    )
    tpu: str = setting(
        "", "Name or address of the TPU of `strategy: tpu`; empty for the one of this machine."
    )
    data_service: str = setting(
        "", "HOST:PORT of a `urfr data-service dispatcher` whose workers make the batches; empty for none."
    )


@dataclasses.dataclass
class Experiment(hyperparams.Config):
    """The root of the tree."""

    name: str = setting("urface", "Name of the experiment.")
    task: str = setting(
        "recognition",
        "What is trained: the face embedding, the attribute network, or the confidence head alone.",
        choices=("recognition", "attributes", "uncertainty"),
    )
    seed: int = setting(0, "Seed of weights, order and augmentation.")
    initial_weights: str = setting(
        "",
        "Run folder whose network this one starts from, or `default`, that of the extra `default-network`; "
        "empty for none.",
    )
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    confidence: ConfidenceConfig = dataclasses.field(default_factory=ConfidenceConfig)
    head: HeadConfig = dataclasses.field(default_factory=HeadConfig)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    decorrelation: DecorrelationConfig = dataclasses.field(default_factory=DecorrelationConfig)
    attributes: AttributesConfig = dataclasses.field(default_factory=AttributesConfig)
    uncertainty: UncertaintyConfig = dataclasses.field(default_factory=UncertaintyConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    runtime: RuntimeConfig = dataclasses.field(default_factory=RuntimeConfig)

    @property
    def augmentations(self) -> dict[str, float]:
        """The variations with a probability above 0, in their fixed order."""
        chosen = {name: getattr(self.augment, name) for name in AUGMENTATIONS}
        return {name: p for name, p in chosen.items() if p > 0}

    @property
    def augmentation_sizes(self) -> dict[str, tuple[int, int]]:
        """The ranges of `augment.*_sizes` by variation."""
        return {name: tuple(getattr(self.augment, f"{name}_sizes")) for name in SIZED}

    @property
    def attribute_targets(self) -> list[str]:
        """The soft labels that theta_A learns: all but the adversary's domain."""
        domain = self.attributes.domain if self.attributes.adversary == "domain" else None
        return [name for name in self.data.soft_labels if name != domain]

    @property
    def variations(self) -> tuple[str, ...]:
        """Names of the T variation labels: augmented first, then mined."""
        return (*self.augmentations, *self.data.soft_labels)
