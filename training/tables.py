"""Files of comma-separated rows, checked before anything is made of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

Row = dict[str, str]


def read_table(
    path: Path, columns: Sequence[str], what: str, fault: type[ValueError]
) -> list[tuple[str, Row]]:
    """The rows of a CSV file under their header, each after where it stands: "FILE, line N".

    Args:
        path: UTF-8.
        columns: those that there must be; others may be there, too.
        what: what the file should be, in words, such as "manifest".
        fault: raised, with one line for people, where the file cannot be read, lacks a column, or
            has a row that is not as long as the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise fault(f"{path} is no {what}: no column {', '.join(missing)}")
            rows = []
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if None in row or None in row.values():
                    raise fault(f"{where}: the row does not have as many fields as the header")
                rows.append((where, row))
            return rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file of comma-separated rows"
        raise fault(f"cannot read the {what} {path}: {reason}") from error
