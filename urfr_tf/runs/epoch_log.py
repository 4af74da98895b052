"""log.csv of a run folder."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from urfr_tf.files import write_text


class EpochLog:
    """log.csv: one row an epoch. The file is rewritten as a whole.

    Args:
        path: the file.
        finished_epochs: what a resumed run has finished; rows of later epochs are dropped.
    """

    def __init__(self, path: Path, finished_epochs: int) -> None:
        self.path = path
        self.rows: list[Mapping[str, object]] = []
        if path.exists():
            with open(path, encoding="utf-8", newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["epoch"]) <= finished_epochs]

    def add(self, row: Mapping[str, object]) -> None:
        """Appends one epoch; new columns are allowed."""
        self.rows.append(row)
        columns = list(dict.fromkeys(key for each in self.rows for key in each))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())
