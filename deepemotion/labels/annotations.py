"""Observers' raw annotations: one CSV file per observer, one row per emotional event of one character."""

import csv
import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deepemotion.errors import UserError

if TYPE_CHECKING:
    from _csv import Reader

_COLUMNS = ("start", "end", "character", "emotion")
_GROUPS = ("av", "ao")


@dataclass(frozen=True)
class Event:
    """What an observer saw in one character, in seconds of the movie. `labels` is empty where no emotion was named."""

    start: float
    end: float
    character: str
    labels: tuple[str, ...]


def read(folder: Path, wanted: list[str], known: Collection[str]) -> dict[str, list[Event]]:
    """Read the wanted observers' events, by observer id in alphabetical order, events in file order.

    An observer's id is the file's name without `.csv`, lower case; files are looked for in `folder` and below. `wanted`
    holds ids, `all`, `av` (audio-visual: ids that start so) or `ao` (audio only). The files are those of Labs et al.
    2015 (F1000Research 4:92): columns `start, end, character, emotion` and others that are not used; several labels of
    one event are separated by spaces.
    Raises UserError with file and line for an observer who is missing or wanted twice, a
    missing column, an invalid time, an end before its start, or a label not in `known`.
    """
    files = _find(folder)
    return {observer: _read_events(files[observer], known) for observer in _select(wanted, list(files), folder)}


def _find(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder with the observers' CSV files")
    files: dict[str, Path] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".csv"):
        observer = path.stem.lower()
        if observer in files:
            raise UserError(f"{path}: observer {observer} is also in {files[observer]}; keep one of the two files")
        files[observer] = path
    if not files:
        raise UserError(f"{folder}: no CSV file in it; give the folder with the observers' files (av1o01.csv, ...)")
    return dict(sorted(files.items()))


def _select(wanted: list[str], available: list[str], folder: Path) -> list[str]:
    selected: list[str] = []
    for name in (entry.lower() for entry in wanted):
        if name in available:
            matches = [name]
        elif name == "all":
            matches = available
        else:
            matches = [observer for observer in available if name in _GROUPS and observer.startswith(name)]
        if not matches:
            raise UserError(f"{folder}: no observer {name!r}; it has {', '.join(available)} (groups: av, ao, all)")
        twice = set(matches) & set(selected)
        if twice:
            raise UserError(f"observer {min(twice)} is selected twice; name each observer once")
        selected += matches
    return sorted(selected)


def _read_events(path: Path, known: Collection[str]) -> list[Event]:
    try:
        # Spreadsheet programs put a byte-order mark before the first column's name.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                return _parse(reader, path, known)
            except csv.Error as error:
                raise UserError(f"{path}:{reader.line_num}: not valid CSV: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file in UTF-8; save it as CSV") from error


def _parse(reader: "Reader", path: Path, known: Collection[str]) -> list[Event]:
    header: list[str] = next(reader, [])
    for column in _COLUMNS:
        if header.count(column) != 1:
            columns = ", ".join(header) or "none: the file is empty"
            raise UserError(f"{path}:1: needs one column {column!r}; the columns are {columns}")
    events = []
    for fields in reader:
        where = f"{path}:{reader.line_num}"
        if not fields:
            continue
        if len(fields) != len(header):
            raise UserError(f"{where}: {len(fields)} fields where the header has {len(header)}")
        events.append(_parse_event(dict(zip(header, fields, strict=True)), where, known))
    if not events:
        raise UserError(f"{path}: holds no event; remove the file, or leave the observer out with --observers")
    return events


def _parse_event(row: dict[str, str], where: str, known: Collection[str]) -> Event:
    start, end = (_parse_seconds(row[column], f"{where}: {column}") for column in ("start", "end"))
    if end < start:
        raise UserError(f"{where}: the event ends at {end:g} s, before its start at {start:g} s; correct the times")
    labels = tuple(dict.fromkeys(row["emotion"].split()))
    for label in labels:
        if label not in known:
            raise UserError(
                f"{where}: label {label!r} is in no cluster; correct it, or name it in a --clusters file (under NONE to"
                f" ignore it). Known: {', '.join(sorted(known))}"
            )
    return Event(start, end, row["character"].strip(), labels)


def _parse_seconds(text: str, what: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UserError(f"{what} {text!r} is not a time in seconds of the movie (a number from 0)")
    return seconds
