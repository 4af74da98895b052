"""log.csv of a run folder."""

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path

from urfr_tf.errors import UrfrError, short_reason_of
from urfr_tf.files import write_text

_EPOCH = re.compile(r"[0-9]{1,9}")


class EpochLog:
    """log.csv: one row an epoch. The file is rewritten as a whole.

    Args:
        path: the file.
        finished_epochs: what a resumed run has finished; rows of later epochs are dropped.

    Raises:
        UrfrError: the file is there but damaged.
    """

    def __init__(self, path: Path, finished_epochs: int) -> None:
        self.path = path
        self.rows: list[Mapping[str, object]] = []
        if path.exists():
            self.rows = [row for row in _read_rows(path) if int(row["epoch"]) <= finished_epochs]

    def add(self, row: Mapping[str, object]) -> None:
        """Appends one epoch; new columns are allowed."""
        self.rows.append(row)
        columns = list(dict.fromkeys(key for each in self.rows for key in each))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())


def _read_rows(path: Path) -> list[dict[str, str]]:
    """Reads the rows of log.csv, every one with the number of its epoch."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, restkey="", restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UrfrError(f"could not read the log {path}: {short_reason_of(error)}") from error
    for number, row in enumerate(rows, 2):
        if not _EPOCH.fullmatch(str(row.get("epoch"))) or "" in row:
            raise UrfrError(
                f"expected a row of an epoch in line {number} of {path}, but it is damaged; move the file "
                "away to go on with a new log"
            )
    return rows
