"""Checks a configuration before anything starts: known keys, right types, values in range, no conflicts."""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from urfr_tf.config.renamed_keys import RENAMED_KEYS
from urfr_tf.config.setting import setting_of
from urfr_tf.config.tree import SIZED, Experiment
from urfr_tf.errors import UrfrError

INPUT_SIZES: dict[str, tuple[int, float]] = {"mobilefacenet": (64, math.inf), "dlib_resnet": (112, 112)}
"""Backbone -> the smallest and the largest side of its input in pixels, where it has one."""


def check_types(cls: type, tree: Mapping[str, object], where: Callable[[str], str], prefix: str = "") -> None:
    """Refuses unknown keys and wrong types in plain dictionaries meant for the dataclass `cls`.

    Args:
        cls: the dataclass of a group of keys.
        tree: nested mappings as they were read.
        where: dotted key -> where it was read, for errors.
        prefix: the group's name with a dot behind it, for errors.

    Raises:
        UrfrError: a sentence with the key's full name.
    """
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.name in hints]
    names = [n for n in names if n not in ("default_params", "restrictions")]
    for key, value in tree.items():
        full = f"{prefix}{key}"
        if full in RENAMED_KEYS:
            raise UrfrError(f"{full} in {where(full)} has a new name: write {RENAMED_KEYS[full]}")
        if key not in names:
            raise UrfrError(f"unknown key {full} in {where(full)}; known here: {', '.join(names)}")
        hint = hints[key]
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            if not isinstance(value, dict):
                raise UrfrError(f"{full} in {where(full)} is a group of keys, but got {value!r}")
            check_types(hint, value, where, f"{full}.")
        elif not _fits(value, hint):
            raise UrfrError(f"{full} in {where(full)} expects {_spell(hint)}, but got {value!r}")


def _fits(value: object, hint: object) -> bool:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(hint))
    if hint is type(None):
        return value is None
    if origin in (list, tuple):
        inner = typing.get_args(hint)[0]
        return isinstance(value, (list, tuple)) and all(_fits(item, inner) for item in value)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(hint, type) and isinstance(value, hint)


def _spell(hint: object) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


class Conflict(typing.NamedTuple):
    """Values that cannot work.

    Attributes:
        keys: the dotted keys that are to blame.
        sentence: what was expected of them, and what they are.
    """

    keys: tuple[str, ...]
    sentence: str


def check_values(config: Experiment, where: Callable[[Sequence[str]], str]) -> None:
    """Refuses values out of range, and combinations of values that cannot work.

    Args:
        config: a tree with every type right.
        where: dotted keys -> where their values were set, for errors.

    Raises:
        UrfrError: the first conflict.
    """
    for conflict in _conflicts(config):
        raise UrfrError(f"{conflict.sentence} ({where(conflict.keys)})")


def _conflicts(config: Experiment) -> Iterator[Conflict]:
    # The rules come after all ranges: they divide by numbers that are in range.
    yield from _out_of_range(config)
    for rules in RULES:
        yield from rules(config)


def _out_of_range(group: object, prefix: str = "") -> Iterator[Conflict]:
    assert dataclasses.is_dataclass(group)
    for field in dataclasses.fields(group):
        value, full = getattr(group, field.name, None), f"{prefix}{field.name}"
        if (known := setting_of(field)) is not None:
            if sentence := known.objection(full, value):
                yield Conflict((full,), sentence)
        elif dataclasses.is_dataclass(value):
            yield from _out_of_range(value, f"{full}.")


def _model_conflicts(config: Experiment) -> Iterator[Conflict]:
    model = config.model
    if model.embedding_dim % model.groups:
        yield Conflict(
            ("model.embedding_dim", "model.groups"),
            "model.embedding_dim must be a multiple of model.groups, "
            f"but got {model.embedding_dim} and {model.groups}",
        )
    least, most = INPUT_SIZES.get(model.backbone, (0, math.inf))
    if not least <= model.input_size <= most:
        sizes = f"{least}" if least == most else f"at least {least}"
        yield Conflict(
            ("model.backbone", "model.input_size"),
            f"model.backbone: {model.backbone} expects model.input_size: {sizes}, but got {model.input_size}",
        )
    if model.backbone == "dlib_resnet" and model.width != 1:
        yield Conflict(
            ("model.backbone", "model.width"),
            f"model.backbone: dlib_resnet has one width, so expects model.width: 1, but got {model.width:g}",
        )


def _augment_conflicts(config: Experiment) -> Iterator[Conflict]:
    for name, (least, most) in SIZED.items():
        key, sizes = f"augment.{name}_sizes", getattr(config.augment, f"{name}_sizes")
        odd = name == "blur"
        right = len(sizes) == 2 and least <= sizes[0] <= sizes[1] <= most
        if not right or (odd and any(size % 2 == 0 for size in sizes)):
            kind = "odd kernel sizes" if odd else "numbers of pixels"
            yield Conflict(
                (key,), f"{key} are two {kind} from {least} to {most}, the smaller first, but got {sizes}"
            )


def _confidence_conflicts(config: Experiment) -> Iterator[Conflict]:
    confidence = config.confidence
    if not 0 < confidence.minimum <= confidence.initial <= confidence.maximum:
        yield Conflict(
            ("confidence.minimum", "confidence.initial", "confidence.maximum"),
            "confidence needs 0 < minimum <= initial <= maximum, but got "
            f"{confidence.minimum}, {confidence.initial}, {confidence.maximum}",
        )


def _head_conflicts(config: Experiment) -> Iterator[Conflict]:
    head = config.head
    if head.sample_count > 0 and head.sample_rate != 1:
        yield Conflict(
            ("head.sample_rate", "head.sample_count"),
            "head.sample_rate and head.sample_count exclude one another, "
            f"but got {head.sample_rate} and {head.sample_count}",
        )
    if head.start == "class_means" and not (config.initial_weights and config.task == "recognition"):
        yield Conflict(
            ("head.start", "initial_weights", "task"),
            "head.start: class_means needs initial_weights and task: recognition",
        )
    if head.partial and config.task != "recognition":
        yield Conflict(("head", "task"), f"head.* belongs to task: recognition, but task is {config.task}")
    if head.partial and config.runtime.strategy not in ("off", "mirrored"):
        yield Conflict(
            ("head", "runtime.strategy"),
            "head.sharded and head.sample_* need runtime.strategy: mirrored or off, "
            f"but got {config.runtime.strategy}",
        )


def _loss_conflicts(config: Experiment) -> Iterator[Conflict]:
    if config.loss.teacher > 0 and not (config.initial_weights and config.task == "recognition"):
        yield Conflict(
            ("loss.teacher", "initial_weights", "task"),
            "loss.teacher needs initial_weights, the network that teaches, and task: recognition",
        )


def _data_conflicts(config: Experiment) -> Iterator[Conflict]:
    data, service = config.data, config.runtime.data_service
    if data.turned and not config.augment.pose:
        yield Conflict(("data.turned", "augment.pose"), "data.turned needs a probability in augment.pose")
    if data.batch_size % data.worker_shares:
        yield Conflict(
            ("data.worker_shares", "data.batch_size"),
            "data.worker_shares must divide data.batch_size, "
            f"but got {data.worker_shares} and {data.batch_size}",
        )
    if data.worker_shares > 1 and service:
        yield Conflict(
            ("data.worker_shares", "runtime.data_service"),
            "data.worker_shares and runtime.data_service exclude each other: "
            "the service divides the work itself",
        )
    if data.cache and service:
        yield Conflict(
            ("data.cache", "runtime.data_service"),
            "runtime.data_service and data.cache exclude each other: "
            "the workers of the service decode the images, and the cache holds decoded images",
        )


def _train_conflicts(config: Experiment) -> Iterator[Conflict]:
    train, data, rates = config.train, config.data, config.optimizer.layer_rates
    if data.validation and train.validate_every < 1:
        yield Conflict(
            ("train.validate_every",),
            f"train.validate_every must be at least 1 with data.validation, but got {train.validate_every}",
        )
    if data.batch_size % train.accumulate:
        yield Conflict(
            ("train.accumulate", "data.batch_size"),
            "train.accumulate must divide data.batch_size, the global batch, "
            f"but got {train.accumulate} and {data.batch_size}",
        )
    if config.task == "recognition":
        return
    if train.accumulate > 1:
        yield Conflict(
            ("train.accumulate", "task"),
            f"train.accumulate belongs to task: recognition, but task is {config.task}",
        )
    frozen = train.freeze_backbone_epochs > 0 or train.freeze_batch_norm != "none"
    if frozen or rates.as_dict() != type(rates)().as_dict():
        yield Conflict(
            ("train.freeze_backbone_epochs", "train.freeze_batch_norm", "optimizer.layer_rates", "task"),
            "train.freeze_* and optimizer.layer_rates belong to task: recognition, "
            f"but task is {config.task}",
        )


def _optimizer_conflicts(config: Experiment) -> Iterator[Conflict]:
    for name in ("learning_rate", "warmup"):
        kinds, key = getattr(config.optimizer, name), f"optimizer.{name}.type"
        known = [field.name for field in dataclasses.fields(kinds) if field.name != "type"]
        if kinds.type not in known and not (name == "warmup" and kinds.type is None):
            yield Conflict((key,), f"{key} is one of {', '.join(known)}, but got {kinds.type}")


def _runtime_conflicts(config: Experiment) -> Iterator[Conflict]:
    runtime, batch_size = config.runtime, config.data.batch_size
    if runtime.replicas > 1 and runtime.strategy != "mirrored":
        yield Conflict(
            ("runtime.replicas", "runtime.strategy"),
            f"runtime.replicas above 1 needs runtime.strategy: mirrored, but got {runtime.strategy}",
        )
    if runtime.replicas > 1 and batch_size % runtime.replicas:
        yield Conflict(
            ("data.batch_size", "runtime.replicas"),
            "data.batch_size must be a multiple of runtime.replicas, "
            f"but got {batch_size} and {runtime.replicas}",
        )


def _attributes_conflicts(config: Experiment) -> Iterator[Conflict]:
    if config.task != "attributes":
        return
    attributes, names = config.attributes, config.data.soft_labels
    if not names:
        yield Conflict(
            ("task", "data.soft_labels"), "task: attributes needs data.soft_labels, the names of its targets"
        )
    if attributes.adversary == "domain" and attributes.domain not in names:
        yield Conflict(
            ("attributes.adversary", "attributes.domain", "data.soft_labels"),
            "attributes.adversary: domain needs attributes.domain to name one of data.soft_labels, "
            f"but got '{attributes.domain}'",
        )
    if not config.attribute_targets:
        yield Conflict(
            ("data.soft_labels", "attributes.domain"),
            "data.soft_labels needs a target besides attributes.domain, which is not a target",
        )
    if config.decorrelation.enabled:
        yield Conflict(
            ("decorrelation.enabled", "task"),
            f"decorrelation.enabled belongs to task: recognition, but task is {config.task}",
        )


def _uncertainty_conflicts(config: Experiment) -> Iterator[Conflict]:
    if config.task != "uncertainty":
        return
    images, batch_size = config.uncertainty.images_per_identity, config.data.batch_size
    if not config.initial_weights:
        yield Conflict(
            ("task", "initial_weights"), "task: uncertainty needs initial_weights, the run to fine-tune"
        )
    if not config.confidence.learned:
        yield Conflict(("task", "confidence.learned"), "task: uncertainty needs confidence.learned: true")
    if batch_size % images:
        yield Conflict(
            ("uncertainty.images_per_identity", "data.batch_size"),
            f"uncertainty.images_per_identity must divide data.batch_size, but got {images} and {batch_size}",
        )


def _decorrelation_conflicts(config: Experiment) -> Iterator[Conflict]:
    if not config.decorrelation.enabled:
        return
    groups, variations = config.model.groups, len(config.variations)
    if not variations:
        yield Conflict(
            ("decorrelation.enabled", "augment", "data.soft_labels"),
            "decorrelation.enabled needs a variation: set augment.* or data.soft_labels",
        )
    if groups % 2 or math.comb(groups, groups // 2) < variations:
        yield Conflict(
            ("model.groups", "decorrelation.enabled"),
            f"model.groups {groups} gives too few different half masks, but decorrelation needs {variations}",
        )


RULES: Iterable[Callable[[Experiment], Iterator[Conflict]]] = (
    _model_conflicts,
    _augment_conflicts,
    _confidence_conflicts,
    _head_conflicts,
    _loss_conflicts,
    _data_conflicts,
    _train_conflicts,
    _optimizer_conflicts,
    _runtime_conflicts,
    _attributes_conflicts,
    _uncertainty_conflicts,
    _decorrelation_conflicts,
)
"""The rules between keys, one function for each group of keys."""
