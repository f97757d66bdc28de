"""Reads the names of an atlas's regions from the table beside its image.

Two forms are read: a table separated by tabs or commas whose header has the columns `index` and `name` (BIDS); and
lines of a number and a name, whatever follows (FreeSurfer, AAL). Of these, lines that begin with # do not count.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from deepemotion.files import readable

_FORMS = "give a table with the columns index and name, or lines of a number and a name"


def read(path: Path) -> dict[int, str]:
    """Return the name of each region by its number. Raises UserError where there are none, or two for a number."""
    with readable(path, _FORMS):
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        names: dict[int, str] = {}
        separator = "\t" if lines and "\t" in lines[0] else ","
        columns = [column.strip().lower() for column in lines[0].split(separator)] if lines else []
        rows = _of_table(lines[1:], separator, columns) if "index" in columns else _of_lines(lines)
        for number, name in rows:
            if names.setdefault(int(number), name) != name:
                raise ValueError(f"two names for region {int(number)}")
        if not names:
            raise ValueError("no region")
        return names


def _of_table(lines: list[str], separator: str, columns: list[str]) -> Iterator[tuple[str, str]]:
    for row in csv.DictReader(lines, columns, delimiter=separator):
        yield row["index"], row["name"].strip()


def _of_lines(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        if not line.lstrip().startswith("#"):
            number, *name = line.replace(",", " ").split(maxsplit=2)
            if not name:
                raise ValueError(f"{line!r} has no name")
            yield number, name[0]
