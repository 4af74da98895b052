"""`urfr plan`: what a training will need, before it starts."""

import argparse

HELP = "estimate the memory, steps and hours of a training, and refuse what cannot fit"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "--config",
        required=True,
        metavar="PRESET|FILE",
        help="a preset's name (see urfr configs), or a YAML file",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="A.B=V", help="override one key; may be repeated"
    )
    parser.add_argument("--rate", type=float, metavar="IMAGES_PER_S", help="images a second, for the hours")
    parser.add_argument(
        "--replicas", type=int, metavar="R", help="plan for R devices (default: what is here)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="W",
        help="processes that share the replicas (multi_worker_mirrored; default: 1)",
    )
    parser.add_argument(
        "--memory", type=float, metavar="GIB", help="memory of each device (default: what is here)"
    )
    parser.add_argument("--classes", type=int, metavar="C", help="identities, where the shards are not here")
    parser.add_argument("--images", type=int, metavar="N", help="images, where the shards are not here")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Plans and prints; returns 0.

    Raises:
        UrfrError: a bad configuration, or one that cannot fit. The plan is printed first.
    """
    import json

    from urfr_tf.config.load_config import load_config
    from urfr_tf.training.precision import resolve_precision

    config, _ = resolve_precision(load_config(args.config, args.set))
    from urfr_tf.planning.estimate import plan_training
    from urfr_tf.planning.facts import count_replicas, read_data_facts
    from urfr_tf.planning.memory_budget import check_fit, detect_budget
    from urfr_tf.planning.report import as_json, format_plan

    gpus, replicas = count_replicas(config, args.replicas, args.workers)
    data = read_data_facts(config, args.classes, args.images)
    plan = plan_training(config, data, replicas, args.workers)
    budget = detect_budget(gpus, args.memory)
    if args.json:
        print(json.dumps(as_json(plan, budget, args.rate)))
    else:
        print(format_plan(plan, budget, args.rate))
    check_fit(plan, budget)
    return 0
