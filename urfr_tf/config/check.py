"""What a configuration must be before anything starts: known keys, right types, possible sense."""

import dataclasses
import math
import types
import typing
from collections.abc import Callable
from typing import Any

from urfr_tf.config.renamed_keys import RENAMED_KEYS
from urfr_tf.errors import UrfrError

BACKBONES = ("ir10", "ir18", "ir34", "ir50", "ir100", "mobilefacenet")
STRATEGIES = ("off", "mirrored", "multi_worker_mirrored", "tpu")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
TASKS = ("recognition", "attributes", "uncertainty")
ADVERSARIES = ("none", "identity", "domain")
STARTS = ("random", "class_means")
FROZEN_NORMS = ("none", "backbone", "all")
AUGMENTATIONS = ("blur", "occlusion", "pose", "resolution")
SIZED = {"blur": (3, 31), "resolution": (8, 64)}
"""Augmentations whose sizes can be set, and between which bounds."""


def check_types(cls: type, tree: dict[str, Any], prefix: str, where: str) -> None:
    """Refuses unknown keys and wrong types in plain dictionaries meant for the dataclass `cls`."""
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.name in hints]
    names = [n for n in names if n not in ("default_params", "restrictions")]
    for key, value in tree.items():
        full = f"{prefix}{key}"
        if key not in names:
            if full in RENAMED_KEYS:
                raise UrfrError(f"{full} in {where} has a new name: write {RENAMED_KEYS[full]}")
            raise UrfrError(f"unknown key {full} in {where}; known here: {', '.join(names)}")
        hint = hints[key]
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, dict):
                raise UrfrError(f"{full} in {where} is a group of keys, but got {value!r}")
            check_types(typing.cast(type, hint), value, f"{full}.", where)
        elif not _fits(value, hint):
            raise UrfrError(f"{full} in {where} expects {_spell(hint)}, but got {value!r}")


def _fits(value: Any, hint: Any) -> bool:
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
    return isinstance(value, hint)


def _spell(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


def check_sense(config: Any, where: str) -> None:
    """Refuses combinations that cannot work; `config` is an `Experiment` with every type right."""

    def need(condition: bool, message: str) -> None:
        if not condition:
            raise UrfrError(f"{message} ({where})")

    model, confidence, loss, data = config.model, config.confidence, config.loss, config.data
    need(
        model.backbone in BACKBONES,
        f"model.backbone is one of {', '.join(BACKBONES)}, but got {model.backbone}",
    )
    need(model.groups >= 1, f"model.groups must be at least 1, but got {model.groups}")
    need(model.embedding_dim >= 1, f"model.embedding_dim must be at least 1, but got {model.embedding_dim}")
    need(
        model.embedding_dim % model.groups == 0,
        "model.embedding_dim must be a multiple of model.groups, "
        f"but got {model.embedding_dim} and {model.groups}",
    )
    need(model.input_size >= 32, f"model.input_size must be at least 32 px, but got {model.input_size}")
    need(model.width > 0, f"model.width must be above 0, but got {model.width}")
    for name in (*AUGMENTATIONS, "light"):
        p = getattr(config.augment, name)
        need(0 <= p <= 1, f"augment.{name} is a probability from 0 to 1, but got {p}")
    _check_sizes(config, need)
    need(
        0 < confidence.minimum <= confidence.initial <= confidence.maximum,
        "confidence needs 0 < minimum <= initial <= maximum, but got "
        f"{confidence.minimum}, {confidence.initial}, {confidence.maximum}",
    )
    need(confidence.rate >= 0, f"confidence.rate must not be negative, but got {confidence.rate}")
    need(
        confidence.hold_steps >= 0,
        f"confidence.hold_steps must not be negative, but got {confidence.hold_steps}",
    )
    for name in ("margin", "margin_warmup_steps", "regularizer", "cls", "adv", "teacher"):
        need(getattr(loss, name) >= 0, f"loss.{name} must not be negative, but got {getattr(loss, name)}")
    need(
        loss.teacher == 0 or (bool(config.initial_weights) and config.task == "recognition"),
        "loss.teacher needs initial_weights, the network that teaches, and task: recognition",
    )
    head = config.head
    need(
        0 < head.sample_rate <= 1,
        f"head.sample_rate is a share above 0 and at most 1, but got {head.sample_rate}",
    )
    need(head.sample_count >= 0, f"head.sample_count must not be negative, but got {head.sample_count}")
    need(
        head.sample_count == 0 or head.sample_rate == 1,
        "head.sample_rate and head.sample_count exclude one another, "
        f"but got {head.sample_rate} and {head.sample_count}",
    )
    need(head.start in STARTS, f"head.start is one of {', '.join(STARTS)}, but got {head.start}")
    need(
        head.start == "random" or (bool(config.initial_weights) and config.task == "recognition"),
        "head.start: class_means needs initial_weights and task: recognition",
    )
    if head.partial:
        need(config.task == "recognition", f"head.* belongs to task: recognition, but task is {config.task}")
        need(
            config.runtime.strategy in ("off", "mirrored"),
            "head.sharded and head.sample_* need runtime.strategy: mirrored or off, "
            f"but got {config.runtime.strategy}",
        )
    need(data.batch_size >= 1, f"data.batch_size must be at least 1, but got {data.batch_size}")
    need(data.shuffle_buffer >= 1, f"data.shuffle_buffer must be at least 1, but got {data.shuffle_buffer}")
    need(not data.turned or config.augment.pose > 0, "data.turned needs a probability in augment.pose")
    need(
        data.worker_shares >= 1 and data.batch_size % data.worker_shares == 0,
        f"data.worker_shares must be at least 1 and divide data.batch_size, but got {data.worker_shares} and {data.batch_size}",
    )
    need(
        data.worker_shares == 1 or not config.runtime.data_service,
        "data.worker_shares and runtime.data_service exclude each other: the service deals out the work itself",
    )
    need(config.train.epochs >= 1, f"train.epochs must be at least 1, but got {config.train.epochs}")
    need(config.train.steps_per_epoch >= 0, "train.steps_per_epoch must not be negative")
    need(config.train.keep_checkpoints >= 1, "train.keep_checkpoints must be at least 1")
    need(
        config.train.accumulate >= 1 and data.batch_size % config.train.accumulate == 0,
        "train.accumulate must be at least 1 and divide data.batch_size, the global batch, "
        f"but got {config.train.accumulate} and {data.batch_size}",
    )
    need(
        config.train.accumulate == 1 or config.task == "recognition",
        f"train.accumulate belongs to task: recognition, but task is {config.task}",
    )
    _check_fine_tuning(config, need)
    optimizer = config.optimizer
    need(
        0 <= optimizer.momentum < 1, f"optimizer.momentum is from 0 to below 1, but got {optimizer.momentum}"
    )
    need(
        0 <= optimizer.ema_decay < 1,
        f"optimizer.ema_decay is from 0 to below 1, but got {optimizer.ema_decay}",
    )
    for name, kinds in (("learning_rate", optimizer.learning_rate), ("warmup", optimizer.warmup)):
        known = [field.name for field in dataclasses.fields(kinds) if field.name != "type"]
        need(
            kinds.type in known or (name == "warmup" and kinds.type is None),
            f"optimizer.{name}.type is one of {', '.join(known)}, but got {kinds.type}",
        )
    runtime = config.runtime
    need(
        runtime.strategy in STRATEGIES,
        f"runtime.strategy is one of {', '.join(STRATEGIES)}, but got {runtime.strategy}",
    )
    need(
        runtime.precision in PRECISIONS,
        f"runtime.precision is one of {', '.join(PRECISIONS)}, but got {runtime.precision}",
    )
    need(runtime.replicas >= 0, f"runtime.replicas must not be negative, but got {runtime.replicas}")
    need(
        not (runtime.data_service and data.cache),
        "runtime.data_service and data.cache exclude each other: the workers decode, the cache holds what is decoded",
    )
    if runtime.replicas > 1:
        need(runtime.strategy == "mirrored", "runtime.replicas above 1 needs runtime.strategy: mirrored")
        need(
            data.batch_size % runtime.replicas == 0,
            "data.batch_size must be a multiple of runtime.replicas, "
            f"but got {data.batch_size} and {runtime.replicas}",
        )
    need(config.task in TASKS, f"task is one of {', '.join(TASKS)}, but got {config.task}")
    if config.task == "attributes":
        attributes = config.attributes
        need(len(data.soft_labels) > 0, "task: attributes needs data.soft_labels, the names of its targets")
        need(
            attributes.adversary in ADVERSARIES,
            f"attributes.adversary is one of {', '.join(ADVERSARIES)}, but got {attributes.adversary}",
        )
        need(
            attributes.adversary != "domain" or attributes.domain in data.soft_labels,
            "attributes.adversary: domain needs attributes.domain to name one of data.soft_labels",
        )
        need(
            len(config.attribute_targets) > 0,
            "data.soft_labels needs a target besides attributes.domain, which is none",
        )
        need(not config.decorrelation.enabled, "decorrelation.enabled belongs to task: recognition")
    if config.task == "uncertainty":
        per_identity = config.uncertainty.images_per_identity
        need(
            config.uncertainty.groups_per_identity >= 0,
            "uncertainty.groups_per_identity must not be negative",
        )
        need(bool(config.initial_weights), "task: uncertainty needs initial_weights, the run to fine-tune")
        need(confidence.learned, "task: uncertainty needs confidence.learned: true")
        need(
            per_identity >= 2 and data.batch_size % per_identity == 0,
            "uncertainty.images_per_identity must be at least 2 and divide data.batch_size, "
            f"but got {per_identity} and {data.batch_size}",
        )
    if config.decorrelation.enabled:
        variations = len(config.variations)
        need(variations > 0, "decorrelation.enabled needs a variation: set augment.* or data.soft_labels")
        possible = math.comb(model.groups, model.groups // 2)
        need(
            model.groups % 2 == 0 and possible >= variations,
            f"model.groups {model.groups} gives too few different half masks, "
            f"but decorrelation needs {variations}",
        )


def _check_sizes(config: Any, need: Callable[[bool, str], None]) -> None:
    for name, (least, most) in SIZED.items():
        sizes = getattr(config.augment, f"{name}_sizes")
        odd, kind = name == "blur", "odd kernel sizes" if name == "blur" else "numbers of pixels"
        right = len(sizes) == 2 and least <= sizes[0] <= sizes[1] <= most
        need(
            right and not (odd and any(size % 2 == 0 for size in sizes)),
            f"augment.{name}_sizes are two {kind} from {least} to {most}, the smaller first, but got {sizes}",
        )


def _check_fine_tuning(config: Any, need: Callable[[bool, str], None]) -> None:
    train, rates = config.train, config.optimizer.layer_rates
    for name in ("backbone", "backbone_first", "embedding", "prototypes"):
        value = getattr(rates, name)
        need(
            value is None or value > 0,
            f"optimizer.layer_rates.{name} must be above 0, but got {value}; train.freeze_backbone_epochs freezes",
        )
    need(train.freeze_backbone_epochs >= 0, "train.freeze_backbone_epochs must not be negative")
    need(
        train.freeze_batch_norm in FROZEN_NORMS,
        f"train.freeze_batch_norm is one of {', '.join(FROZEN_NORMS)}, but got {train.freeze_batch_norm}",
    )
    if config.task != "recognition":
        changed = train.freeze_backbone_epochs > 0 or train.freeze_batch_norm != "none"
        changed = changed or rates.as_dict() != type(rates)().as_dict()
        need(
            not changed,
            "train.freeze_* and optimizer.layer_rates belong to task: recognition, "
            f"but task is {config.task}",
        )
