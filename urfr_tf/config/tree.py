"""One experiment is one tree of dataclasses: every key of a configuration, with its default.

The dataclasses are tf-models-official's `Config`. `load_config.py` reads them from YAML, and `check.py` checks
what that library does not: the type of every value, and combinations that cannot work.
"""

import dataclasses

from official.modeling import hyperparams, optimization

from urfr_tf.config.check import AUGMENTATIONS, SIZED


@dataclasses.dataclass
class DataConfig(hyperparams.Config):
    """Where the shards are and how a batch is drawn. `batch_size` is global, over all replicas.

    `turned` takes the faces that `augment.pose` turns from those that `urfr turn` has put beside the shards.
    The shards are divided into `worker_shares`. Each share fills the same number of places in every batch, and a
    worker reads only the files of its shares. Each share has a `shuffle_buffer` of its own.
    """

    train: str = ""
    validation: str = ""
    batch_size: int = 64
    shuffle_buffer: int = 16384
    worker_shares: int = 1
    cache: bool = False
    flip: bool = True
    turned: bool = False
    soft_labels: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class AugmentConfig(hyperparams.Config):
    """Probability of each variation on each image; 0 leaves it out (method, section 3).

    `light` changes brightness and contrast; it is not of the paper and no variation of the decorrelation.
    `blur_sizes` are the smallest and the largest kernel, both odd, and `resolution_sizes` the fewest and the most
    pixels a side: the paper's, each size equally likely.
    """

    blur: float = 0.0
    occlusion: float = 0.0
    pose: float = 0.0
    resolution: float = 0.0
    light: float = 0.0
    blur_sizes: list[int] = dataclasses.field(default_factory=lambda: [3, 11])
    resolution_sizes: list[int] = dataclasses.field(default_factory=lambda: [16, 64])


@dataclasses.dataclass
class ModelConfig(hyperparams.Config):
    """The network: `embedding_dim` is D, `groups` is K; `width` scales the backbone's channels."""

    backbone: str = "ir100"
    width: float = 1.0
    input_size: int = 100
    embedding_dim: int = 512
    groups: int = 16


@dataclasses.dataclass
class ConfidenceConfig(hyperparams.Config):
    """The confidence head and its start (method, section 2).

    `learned: false` fixes s at `initial`: with `groups: 1` that is CosFace of scale s. `hold_steps`
    keeps s at `initial`, then the head learns at `rate` times the learning rate. `norm` shows it the norm of the features.
    """

    learned: bool = True
    norm: bool = False
    initial: float = 48.0
    minimum: float = 1.0
    maximum: float = 245.0
    hold_steps: int = 0
    rate: float = 1.0


@dataclasses.dataclass
class HeadConfig(hyperparams.Config):
    """Many identities: which prototypes a step compares with, and where they lie (docs/scale.md).

    A step takes the batch's identities and, of the others, the share `sample_rate` or, if it is not 0,
    `sample_count` of them. `sharded` gives each replica C / R prototypes with their momentum. `start` is
    `random`, or `class_means` of the embeddings of `initial_weights`.
    """

    sharded: bool = False
    sample_rate: float = 1.0
    sample_count: int = 0
    start: str = "random"

    @property
    def partial(self) -> bool:
        """Whether the prototypes lie beside the graph; otherwise they are an ordinary layer."""
        return self.sharded or self.sample_rate < 1 or self.sample_count > 0


@dataclasses.dataclass
class LossConfig(hyperparams.Config):
    """Margin in logit units, and the weight of each term (method, sections 2 and 4).

    `teacher`, which is not the paper's, weighs the distance between the embedding of an augmented image and what
    the network of `initial_weights` made of that image before augmentation (docs/finetuning.md).
    """

    margin: float = 30.0
    margin_warmup_steps: int = 0
    regularizer: float = 0.001
    cls: float = 2.0
    adv: float = 2.0
    teacher: float = 0.0


@dataclasses.dataclass
class DecorrelationConfig(hyperparams.Config):
    """Variation decorrelation; `classifier_rate` is the learning rate of C_v.

    `average` weighs L_cls and L_adv as means over their T and T (T - 1) terms, in place of the paper's sums: the
    identification keeps its share of the step whatever the number T of variations (docs/configs.md).
    """

    enabled: bool = False
    average: bool = False
    mask_seed: int = 0
    classifier_rate: float = 0.1


@dataclasses.dataclass
class AttributesConfig(hyperparams.Config):
    """theta_A (task: attributes): targets are `data.soft_labels`; the adversary keeps `adversary` out.

    `adversary` is none, identity (the label of the shards) or domain: the soft label named `domain` is then
    no target, but tells images with attributes (0) from those of the set to be mined (1), whose
    attributes are not known and do not count. `balanced` weighs the two classes of each attribute as if they were equally frequent.
    """

    adversary: str = "identity"
    adversary_weight: float = 0.1
    adversary_rate: float = 0.1
    balanced: bool = False
    domain: str = ""


@dataclasses.dataclass
class UncertaintyConfig(hyperparams.Config):
    """The uncertainty stage (task: uncertainty): batches of groups of `images_per_identity` images of a person.

    An epoch takes at most `groups_per_identity` groups of each person; 1 is class-balanced, 0 takes all.
    """

    images_per_identity: int = 4
    groups_per_identity: int = 0

    @property
    def grouping(self) -> dict[str, int]:
        """What the pipeline calls these settings."""
        return {
            "images_per_identity": self.images_per_identity,
            "groups_per_identity": self.groups_per_identity,
        }


@dataclasses.dataclass
class LayerRatesConfig(hyperparams.Config):
    """Factors on the learning rate, and on the weight decay that follows it, for fine-tuning.

    `backbone` is the factor of the backbone's last layer and `backbone_first` that of its first, the same
    if it is left out; the layers between lie on a geometric line. The confidence head has `confidence.rate`.
    """

    backbone: float = 1.0
    backbone_first: float | None = None
    embedding: float = 1.0
    prototypes: float = 1.0


@dataclasses.dataclass
class OptimizerConfig(hyperparams.Config):
    """SGD with momentum. `weight_decay` is in the usual coupled units: 5e-4 is 5e-4 of L2."""

    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 5e-4
    clip_norm: float = 0.0
    ema_decay: float = 0.0
    layer_rates: LayerRatesConfig = dataclasses.field(default_factory=LayerRatesConfig)
    learning_rate: optimization.LrConfig = dataclasses.field(default_factory=optimization.LrConfig)
    warmup: optimization.WarmupConfig = dataclasses.field(default_factory=optimization.WarmupConfig)


@dataclasses.dataclass
class TrainConfig(hyperparams.Config):
    """Length of the run. `steps_per_epoch: 0` is one pass over the data an epoch.

    `accumulate` is in how many micro-batches, one after the other, a replica takes its part of
    `data.batch_size`. For the first `freeze_backbone_epochs` the heads learn alone. `freeze_batch_norm` keeps statistics, scale
    and offset of batch norms as they are: of `none`, of the `backbone`, or of `all`, the embedding's too.
    """

    epochs: int = 18
    steps_per_epoch: int = 0
    checkpoint_steps: int = 0
    keep_checkpoints: int = 3
    validate_every: int = 1
    tensorboard: bool = True
    accumulate: int = 1
    freeze_backbone_epochs: int = 0
    freeze_batch_norm: str = "none"


@dataclasses.dataclass
class RuntimeConfig(hyperparams.Config):
    """Where it runs. `replicas` > 0 is that many logical CPU devices (testing); 0 is all GPUs.

    `precision: auto` is what the machine is fastest in (`urfr_tf/training/precision.py`); config.yaml of the run names it.
    `tpu` is the name or address of the TPU of `strategy: tpu`, empty for the one of this machine.
    `data_service` is HOST:PORT of a `urfr data-service dispatcher` whose workers make the batches.
    """

    strategy: str = "mirrored"
    replicas: int = 0
    precision: str = "auto"
    deterministic: bool = True
    tpu: str = ""
    data_service: str = ""


@dataclasses.dataclass
class Experiment(hyperparams.Config):
    """The root of the tree."""

    name: str = "urface"
    task: str = "recognition"
    seed: int = 0
    initial_weights: str = ""
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
        apart = self.attributes.domain if self.attributes.adversary == "domain" else None
        return [name for name in self.data.soft_labels if name != apart]

    @property
    def variations(self) -> tuple[str, ...]:
        """Names of the T variation labels: augmented first, then mined."""
        return (*self.augmentations, *self.data.soft_labels)
