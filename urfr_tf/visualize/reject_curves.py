"""The error-against-reject curves of metrics.json files as pictures of a report."""

import math
from collections.abc import Iterator, Sequence

from urfr_tf.visualize.report import Picture
from urfr_tf.visualize.robustness_figures import BAND, draw_reject_curve
from urfr_tf.visualize.sources import ReportedEvaluation

Rates = dict[str, list[float | None]]


def draw_reject_pictures(protocol: str, group: Sequence[tuple[str, ReportedEvaluation]]) -> list[Picture]:
    """One picture for each curve of each system; what has not the form of `reject_curves` is left out."""
    return [
        Picture(
            f"Error against reject of {name}{f', {list_name}' if list_name else ''}, protocol {protocol}",
            "Lines of the error against the share left out, lowest quality first. Without reject "
            f"{start:.3f}; with the share {shares[-1]:g} left out: {_last(rates)}.",
            draw_reject_curve(shares, rates, far),
        )
        for name, evaluation in group
        for list_name, shares, rates, far in read_reject_curves(evaluation.raw.get("reject"))
        for start in [next(iter(rates.values()))[0] or 0.0]
    ]


def _last(rates: Rates) -> str:
    last_rates = ((name.replace("_", " "), values[-1]) for name, values in rates.items() if name not in BAND)
    return "; ".join(f"{name} {'nothing left' if x is None else f'{x:.3f}'}" for name, x in last_rates)


def read_reject_curves(reject: object) -> Iterator[tuple[str, list[float], Rates, float | None]]:
    """Reads a `reject` entry of metrics.json.

    Yields:
        Of each curve: the list of pairs ("" where there is one curve only), shares, rates by name, FAR.
    """
    if not isinstance(reject, dict):
        return
    for list_name, curve in {"": reject}.items() if "rejected" in reject else reject.items():
        if not isinstance(curve, dict):
            continue
        shares, far = curve.get("rejected"), curve.get("far")
        rates = {
            str(name): values
            for name, values in curve.items()
            if name not in ("far", "rejected") and _numbers(values) and isinstance(shares, list)
            if len(values) == len(shares)
        }
        if rates and shares and _numbers(shares) and None not in shares and (far is None or _number(far)):
            yield str(list_name), shares, rates, far


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _numbers(values: object) -> bool:
    return isinstance(values, list) and all(value is None or _number(value) for value in values)
