"""Sources -> how each number of a report was obtained, the command for it, and what is missing."""

import json
from collections.abc import Sequence

from urfr_tf.system.terminal import join_command
from urfr_tf.visualize.report import Note
from urfr_tf.visualize.result_tables import drop_duplicates, list_systems
from urfr_tf.visualize.sources import ReportedEvaluation, ReportSource


def format_command(command: object) -> str:
    """A command as one line for a shell, from a string or a list of arguments."""
    if isinstance(command, list):
        return join_command(str(word) for word in command)
    return command if isinstance(command, str) else ""


def _threshold(evaluation: ReportedEvaluation) -> str:
    """The threshold, and the FAR that it was chosen for and really reaches."""
    threshold = evaluation.raw.get("threshold")
    if threshold is None:
        return "no threshold was calibrated"
    points = evaluation.raw.get("calibration")
    for point in points if isinstance(points, list) else []:
        if isinstance(point, dict) and point.get("threshold") == threshold:
            return (
                f"threshold {json.dumps(threshold)}, chosen for FAR {point.get('far')} and reaching FAR "
                f"{point.get('far_reached')} on held-out people"
            )
    return f"threshold {json.dumps(threshold)}"


def _origin(source: ReportSource) -> str:
    """Whether a run was trained or imported, and what the check of an import found."""
    facts = source.facts.get("imported")
    if not isinstance(facts, dict):
        return f"Trained in {source.folder}"
    kept = (f"{name} {facts[name]}" for name in ("channels", "pixels") if isinstance(facts.get(name), str))
    text = ", ".join([f"Imported into {source.folder} from {facts.get('file')}", *kept])
    check = facts.get("check")
    if not isinstance(check, dict):
        return f"{text}; whether these are right was not checked (urfr import --check)"
    return (
        f"{text}; checked with {check.get('photographs')} photographs of {check.get('people')} people: "
        f"{check.get('verdict')}"
    )


def _evaluation_note(name: str, evaluation: ReportedEvaluation) -> Note:
    command = format_command(evaluation.raw.get("command"))
    text = f"Read from {evaluation.folder / 'metrics.json'}"
    text += f", measured on {evaluation.model}" if evaluation.model else ""
    text += f" with the score {evaluation.score}" if evaluation.score else ""
    text += f"; {_threshold(evaluation)}."
    remark = evaluation.raw.get("note")
    if isinstance(remark, str):
        text += f" {remark.strip().rstrip('.')}."
    refused = evaluation.raw.get("refused")
    if isinstance(refused, dict) and refused:
        text += f" Left out, because there are too few impostors: {', '.join(map(str, refused))}."
    if not command:
        text += " The file does not name the command that made it."
    whole = json.dumps(evaluation.raw, indent=1, ensure_ascii=False)
    return Note(f"{name}, protocol {evaluation.protocol}", text, command, whole, "metrics.json")


def describe_provenance(sources: Sequence[ReportSource], again: str) -> list[Note]:
    """How each number was obtained, the command for it, and what is missing; `again` remakes the report."""
    notes = []
    for source in sources:
        if source.config or source.facts:
            command = format_command(source.facts.get("command"))
            notes.append(
                Note(
                    f"The run {source.name}",
                    f"{_origin(source)}; its complete configuration is below, folded."
                    + ("" if command else " run.json does not name the command that made it."),
                    command,
                    source.config,
                    "config.yaml",
                )
            )
    notes += [_evaluation_note(name, evaluation) for name, evaluation in list_systems(sources)]
    notes.append(Note("This report", "Made only from the files named above.", again))
    gaps = drop_duplicates(sentence for source in sources for sentence in source.missing)
    if gaps:
        notes.append(Note("What is missing", " ".join(gaps)))
    return notes
