"""Observers' raw annotations: one CSV file per observer, one row per emotional event of one character."""

import itertools
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from deepemotion.errors import UserError
from deepemotion.labels import observer_files

_COLUMNS = ("start", "end", "character", "emotion")
_GROUPS = ("av", "ao")
# So many events are never the same by chance, to the fraction of a second and in each label.
_ALIKE = 5


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
    Raises UserError with file and line for an observer who is missing or wanted twice, a missing column, an invalid
    time, an end before its start, a label not in `known`, or a file that is a copy of another observer's.
    """
    files = observer_files.find(folder)
    observers = {observer: _read_events(files[observer], known) for observer in _select(wanted, list(files), folder)}
    for observer, other in itertools.combinations(observers, 2):
        if len(observers[observer]) >= _ALIKE and observers[observer] == observers[other]:
            raise UserError(
                f"{files[other]}: the same {len(observers[other])} events as {files[observer].name}; keep one of the"
                " two, since a copy would count as an observer of its own"
            )
    return observers


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
    events = [_parse_event(row, where, known) for where, row in observer_files.rows(path, _COLUMNS)]
    if not events:
        raise UserError(f"{path}: holds no event; remove the file, or leave the observer out with --observers")
    return events


def _parse_event(row: dict[str, str], where: str, known: Collection[str]) -> Event:
    start, end = (observer_files.seconds(row, column, where) for column in ("start", "end"))
    if end < start:
        raise UserError(f"{where}: the event ends at {end:g} s, before its start at {start:g} s; correct the times")
    labels = tuple(dict.fromkeys(row["emotion"].split()))
    for label in labels:
        if label not in known:
            raise UserError(
                f"{where}: label {label!r} is in no cluster; correct it, or name it in a --clusters file (under NONE to"
                f" ignore it). Known: {', '.join(sorted(known))}"
            )
    return Event(start, end, row["character"], labels)
