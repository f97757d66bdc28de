"""The observers' CSV files and their rows. Forgives what editors and spreadsheets do to such files."""

import csv
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from deepemotion.errors import UserError

if TYPE_CHECKING:
    from _csv import Reader

# Longer than any film (four months); a time in another unit, or one that stands for "until the end", is beyond.
_MOST_SECONDS = 1e7


def find(folder: Path) -> dict[str, Path]:
    """Return observer id -> file, sorted: the names, in lower case and without `.csv`, of files in and below `folder`.

    Hidden files and folders are left out. Raises UserError where there are none, or two of one observer.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder with the observers' CSV files")
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        # A link to nowhere is a file that git-annex has not fetched, and an observer who must not be left out.
        if path.suffix.lower() != ".csv" or hidden or path.is_dir():
            continue
        observer = path.stem.lower()
        if observer in files:
            raise UserError(f"{path}: observer {observer} is also in {files[observer]}; keep one of the two files")
        files[observer] = path
    if not files:
        raise UserError(f"{folder}: no CSV file in it; give the folder with the observers' files (av1o01.csv, ...)")
    return dict(sorted(files.items()))


def rows(path: Path, columns: Collection[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows that are not blank, without spaces around their fields, each after its `FILE:LINE`.

    Raises UserError with file and line where the file cannot be read, or does not have each of the `columns` once.
    """
    try:
        # Spreadsheet programs put a byte-order mark before the first column's name.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=_delimiter(file), strict=True, skipinitialspace=True)
            try:
                yield from _rows(reader, path, columns)
            except csv.Error as error:
                raise UserError(f"{path}:{reader.line_num}: not valid CSV: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file in UTF-8; save it as CSV in UTF-8") from error


def _delimiter(file: TextIO) -> str:
    """Return what separates the fields: a comma, or what spreadsheets write where a comma is the decimal mark."""
    header = file.readline()
    file.seek(0)
    return next((mark for mark in ";\t" if mark in header and "," not in header), ",")


def _rows(reader: "Reader", path: Path, columns: Collection[str]) -> Iterator[tuple[str, dict[str, str]]]:
    header = [name.strip() for name in next(reader, [])]
    for column in columns:
        if header.count(column) != 1:
            names = ", ".join(header) or "none: the file is empty"
            raise UserError(f"{path}:1: needs one column {column!r}; the columns are {' '.join(names.split())[:200]}")
    for fields in ([field.strip() for field in row] for row in reader):
        where = f"{path}:{reader.line_num}"
        if not any(fields):
            continue
        # Spreadsheets end all rows with as many commas as the longest.
        beyond = fields[len(header) :]
        if len(fields) < len(header) or any(beyond):
            raise UserError(f"{where}: {len(fields)} fields where the header has {len(header)}")
        yield where, dict(zip(header, fields, strict=False))


def seconds(row: dict[str, str], column: str, where: str) -> float:
    """Return a time of a row in seconds of the movie. Raises UserError for what is not one."""
    try:
        # Python reads 1_30 as 130.
        time = float(row[column].replace("_", "?"))
    except ValueError:
        time = -1.0
    if not 0 <= time <= _MOST_SECONDS:
        raise UserError(f"{where}: {column} {row[column]!r} is not a time in seconds of the movie (a number from 0)")
    return time
