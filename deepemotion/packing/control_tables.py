"""Reads the text files of controls: tables with a header, tables of numbers without one, and JSON beside them."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.packing.input_file import CORRUPT, InputFile

# Many times what an hour at a thousand samples a second takes.
_MOST_BYTES = 2**30
# The largest number in single precision, in which values are stored.
_LARGEST = 3.4e38
_EMPTY = ("", "n/a", "N/A", "nan", "NaN")


def read_text(path: Path) -> str:
    """Return the content of a text file, decompressed. Raises UserError if it cannot be read."""
    try:
        with InputFile(path) as file, file.uncompressed() as source:
            content = source.read(_MOST_BYTES + 1)
    except (EOFError, *CORRUPT) as error:
        raise UserError(f"{path}: truncated or corrupt; fetch it again") from error
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from error
    if len(content) > _MOST_BYTES:
        raise UserError(f"{path}: larger than {_MOST_BYTES // 2**20} MiB, so not a table")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file in UTF-8") from error


def read_matrix(path: Path, columns: int | None = None) -> NDArray[np.float64]:
    """Return a table (rows, columns) of numbers without a header, separated by tabs or spaces; n/a becomes NaN.

    Raises UserError for anything that is not a finite number, and where rows differ in length or are not `columns`
    long.
    """
    text = read_text(path)
    if not text.strip():
        raise UserError(f"{path}: empty")
    try:
        # Three times as fast as what follows, which also finds what is wrong and where.
        values = np.loadtxt(io.StringIO(text), np.float64, comments=None, ndmin=2)
        if values.shape[1] == (columns or values.shape[1]) and (np.abs(values) <= _LARGEST).all():
            return values
    except ValueError:
        pass
    rows = [line.split() for line in text.splitlines() if line.strip()]
    width = len(rows[0]) if columns is None else columns
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            raise UserError(f"{path}:{number}: {len(row)} columns, not {width}")
    flat = numbers([cell for row in rows for cell in row])
    if isinstance(flat, int):
        line, column = divmod(flat, width)
        raise UserError(f"{path}:{line + 1}: {rows[line][column]!r} is not a number")
    return flat.reshape(-1, width)


class Table:
    """A tab-separated table with a header; `cells` maps each column to its texts, in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = read_text(path).splitlines()
        while lines and not lines[-1].strip():
            lines.pop()
        names = lines[0].split("\t") if lines else []
        if len(lines) < 2 or len(set(names)) != len(names):
            raise UserError(f"{path}: not a table with a header of different names and rows below it")
        rows = [line.split("\t") for line in lines[1:]]
        for number, row in enumerate(rows, start=2):
            if len(row) != len(names):
                raise UserError(f"{path}:{number}: {len(row)} cells, but the header has {len(names)}; use tabs")
        self.cells = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        self.rows = len(rows)
        self._numbers: dict[str, NDArray[np.float64] | int] = {}

    def require(self, columns: list[str]) -> None:
        """Raise UserError if one of the columns is missing."""
        for column in columns:
            if column not in self.cells:
                raise UserError(f"{self.path}: no column {column!r}; it has {', '.join(self.cells)}")

    def is_numeric(self, column: str) -> bool:
        """Return whether all cells of a column are numbers or empty."""
        return not isinstance(self._parsed(column), int)

    def numbers(self, column: str) -> NDArray[np.float64]:
        """Return a column, NaN where it is empty or n/a. Raises UserError for anything else but finite numbers."""
        values = self._parsed(column)
        if isinstance(values, int):
            raise UserError(f"{self.path}:{values + 2}: {column} {self.cells[column][values]!r} is not a number")
        return values

    def texts(self, column: str) -> list[str]:
        """Return a column of categories, "" where it is empty or n/a."""
        return ["" if cell.strip() in _EMPTY else cell.strip() for cell in self.cells[column]]

    def _parsed(self, column: str) -> NDArray[np.float64] | int:
        if column not in self._numbers:
            self._numbers[column] = numbers(self.cells[column])
        return self._numbers[column]


def numbers(cells: list[str]) -> NDArray[np.float64] | int:
    """Return the numbers (n,) in cells, NaN for empty ones, or the index of the first that is none or too large."""
    try:
        values = np.fromiter(map(float, cells), np.float64, len(cells))
        if not (np.abs(values) > _LARGEST).any():
            return values
    except ValueError:
        pass
    values = np.full(len(cells), np.nan)
    for i, cell in enumerate(cells):
        if cell.strip() in _EMPTY:
            continue
        try:
            values[i] = float(cell)
        except ValueError:
            return i
        if abs(values[i]) > _LARGEST:
            return i
    return values


def read_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file. Raises UserError if it holds anything else."""
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a JSON object")
    return content
