"""Reads the text files of controls: tables with a header, tables of numbers without one, and JSON beside them."""

import io
import json
import re
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
# BIDS writes n/a, R and pandas the others; in any case.
_EMPTY = frozenset({"", "n/a", "na", "nan", "<na>", "null"})
_WITH_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)


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

    Lines that begin with # are left out. Raises UserError for anything that is not a finite number, and where rows
    differ in length or are not `columns` long.
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
    numbered = [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1) if _holds_data(line)]
    if not numbered:
        raise UserError(f"{path}: empty")
    width = len(numbered[0][1]) if columns is None else columns
    if isinstance(word := numbers(numbered[0][1]), int):
        raise UserError(f"{path}:{numbered[0][0]}: {numbered[0][1][word]!r} is not a number")
    for number, row in numbered:
        if len(row) != width:
            raise UserError(f"{path}:{number}: {len(row)} columns, not {width}")
    flat = numbers([cell for _, row in numbered for cell in row])
    if isinstance(flat, int):
        line, column = divmod(flat, width)
        number, row = numbered[line]
        raise UserError(f"{path}:{number}: {row[column]!r} is not a number")
    return flat.reshape(-1, width)


def _holds_data(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


class Table:
    """A tab-separated table with a header; `cells` maps each column to its texts, in order. It may have no rows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # Not splitlines, which also ends a line at separators that a cell may hold.
        lines = [line.rstrip("\n") for line in io.StringIO(read_text(path), newline=None)]
        while lines and not lines[-1].strip():
            lines.pop()
        names = [name.strip() for name in lines[0].split("\t")] if lines else []
        if not names or len(set(names)) != len(names):
            raise UserError(f"{path}: not a table with a header of different names")
        rows = [line.split("\t") for line in lines[1:]]
        for number, row in enumerate(rows, start=2):
            if len(row) != len(names):
                raise UserError(f"{path}:{number}: {len(row)} cells, but the header has {len(names)}; use tabs")
        self.cells = {name: [row[i] for row in rows] for i, name in enumerate(names)}
        self.rows = len(rows)
        self._numbers: dict[str, NDArray[np.float64] | int] = {}

    def require(self, columns: list[str]) -> None:
        """Raise UserError if one of the columns is missing."""
        for column in columns:
            if column not in self.cells:
                raise UserError(f"{self.path}: no column {column!r}; it has {', '.join(self.cells)}")

    def first_word(self, column: str) -> int | None:
        """Return the index of the first cell of a column that is neither a number nor empty, None if there is none.

        Raises UserError for a column of numbers of which some cannot be used: infinite ones, or with a decimal comma.
        """
        values = self._parsed(column)
        if not isinstance(values, int):
            return None
        cells = [cell.strip() for cell in self.cells[column]]
        if all(_is_empty(cell) or _number(cell) is not None or _WITH_COMMA.fullmatch(cell) for cell in cells):
            problem = "not a finite number; write n/a if there is none"
            if _WITH_COMMA.fullmatch(cells[values]):
                problem = "a number with a decimal comma; write a point"
            raise UserError(f"{self.path}:{values + 2}: {column} {cells[values]!r} is {problem}")
        return values

    def numbers_among(self, column: str) -> int:
        """Return how many cells of a column are numbers."""
        return sum(not _is_empty(cell) and _number(cell) is not None for cell in self.cells[column])

    def numbers(self, column: str) -> NDArray[np.float64]:
        """Return a column, NaN where it is empty or n/a. Raises UserError for anything else but finite numbers."""
        values = self._parsed(column)
        if isinstance(values, int):
            raise UserError(f"{self.path}:{values + 2}: {column} {self.cells[column][values]!r} is not a number")
        return values

    def texts(self, column: str) -> list[str]:
        """Return a column of categories, "" where it is empty or n/a."""
        return ["" if _is_empty(cell) else cell.strip() for cell in self.cells[column]]

    def _parsed(self, column: str) -> NDArray[np.float64] | int:
        if column not in self._numbers:
            self._numbers[column] = numbers(self.cells[column])
        return self._numbers[column]


def numbers(cells: list[str]) -> NDArray[np.float64] | int:
    """Return the numbers (n,) in cells, NaN for empty ones, or the index of the first that is none or too large."""
    # Python reads 1_0, which is a code, as 10.
    if "_" not in "".join(cells):
        try:
            values = np.fromiter(map(float, cells), np.float64, len(cells))
            if not (np.abs(values) > _LARGEST).any():
                return values
        except ValueError:
            pass
    values = np.full(len(cells), np.nan)
    for i, cell in enumerate(cells):
        if _is_empty(cell):
            continue
        number = _number(cell)
        if number is None or abs(number) > _LARGEST:
            return i
        values[i] = number
    return values


def _is_empty(cell: str) -> bool:
    return cell.strip().lower() in _EMPTY


def _number(cell: str) -> float | None:
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def read_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file. Raises UserError if it holds anything else."""
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a JSON object")
    return content
