"""plan.tsv: the trials planned in a run, one per row."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import get_args

import pydantic

from deepemotion.errors import UserError, from_validation
from deepemotion.files import whole_lines, write_text
from deepemotion.settings.schema import Trial, TrialSettings
from launcher.planning.learning_curve import Over, Point
from launcher.planning.nested import Selection
from launcher.planning.plan import PlannedTrial

# `settings` holds everything of a trial; the columns that repeat parts of it are for people and spreadsheets.
_COLUMNS: dict[str, Callable[[PlannedTrial], object]] = {
    "name": lambda planned: planned.name,
    "training_set": lambda planned: planned.training_set,
    "condition": lambda planned: planned.condition,
    "protocol": lambda planned: planned.protocol,
    "fold": lambda planned: "" if planned.fold is None else planned.fold,
    "permutation": lambda planned: planned.permutation,
    "learning_rate": lambda planned: planned.learning_rate,
    "seed": lambda planned: planned.seed,
    "memory_bytes": lambda planned: planned.memory_bytes,
    "work": lambda planned: planned.work,
    "selection": lambda planned: "" if planned.selection is None else " ".join(_words(planned.selection)),
    "curve": lambda planned: "" if planned.point is None else " ".join(_words_of_point(planned.point)),
    "settings": lambda planned: json.dumps(planned.trial.model_dump(mode="json")),
    "data": lambda planned: planned.data,
}
# The columns that repeat a part of the settings.
_REPEATED = ("fold", "permutation", "learning_rate", "seed")
_SETTINGS = {f"{section}.{name}" for section, values in TrialSettings().model_dump().items() for name in values}
_CURVES: dict[str, Over] = {name: name for name in get_args(Over)}
_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]*")


def write(path: Path, trials: Iterable[PlannedTrial]) -> None:
    """Write the plan, whole or not at all."""
    write_text(path, text(trials))


def text(trials: Iterable[PlannedTrial]) -> str:
    """Return the content of the plan's file."""
    lines = ["\t".join(_COLUMNS)]
    lines += ["\t".join(str(cell(planned)) for cell in _COLUMNS.values()) for planned in trials]
    return "\n".join(lines) + "\n"


def read(path: Path) -> list[PlannedTrial]:
    """Return the planned trials in the file's order, none where there is no file.

    Raises UserError for a file that is truncated or not a plan.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        header, *lines = whole_lines(content)
        trials = [_planned(dict(zip(header.split("\t"), line.split("\t"), strict=True))) for line in lines]
    except pydantic.ValidationError as error:
        raise _not_a_plan(path, str(from_validation(error, "settings", Trial))) from error
    except KeyError as error:
        raise _not_a_plan(path, f"no column {error}") from error
    except ValueError as error:
        raise _not_a_plan(path, " ".join(str(error).split())) from error
    twice = [name for name, count in Counter(trial.name for trial in trials).items() if count > 1]
    if twice:
        raise _not_a_plan(path, f"{twice[0]} is in it more than once")
    return trials


def contradictions(path: Path, trials: Iterable[PlannedTrial]) -> Iterator[tuple[str, str]]:
    """Yield the trial's name and the column of each cell that is not what the settings of its row say.

    `trials` are those that the file was read as.
    """
    header, *lines = whole_lines(path.read_bytes())
    for planned, line in zip(trials, lines, strict=True):
        row = dict(zip(header.split("\t"), line.split("\t"), strict=True))
        for column in _REPEATED:
            if row.get(column) != str(_COLUMNS[column](planned)):
                yield planned.name, column


def _planned(row: dict[str, str]) -> PlannedTrial:
    if not _NAME.fullmatch(row["name"]):
        # The name is that of a folder.
        raise ValueError(f"{row['name']!r} is no name of a trial")
    memory_bytes, work = int(row["memory_bytes"]), float(row["work"])
    if memory_bytes < 0 or not 0 <= work < math.inf:
        raise ValueError(f"{row['name']}: impossible memory_bytes or work")
    trial, point = Trial.model_validate_json(row["settings"]), _point(row.get("curve", ""))
    if point is not None and set(point.chosen) != _trained_on(trial, point):
        raise ValueError(f"{row['name']}: its curve is not that of its settings")
    return PlannedTrial(
        name=row["name"],
        training_set=row["training_set"],
        condition=row["condition"],
        protocol=row["protocol"],
        memory_bytes=memory_bytes,
        work=work,
        trial=trial,
        data=row["data"],
        selection=_selection(row.get("selection", "")),
        point=point,
    )


def _words(selection: Selection) -> tuple[str, ...]:
    return selection.procedure, *selection.keys


def _selection(text: str) -> Selection | None:
    """Return the selection of a trial from its words, None for the many trials that have none."""
    procedure, *keys = text.split(" ")
    if text and not (re.fullmatch("[0-9a-f]{8}", procedure) and set(keys) <= _SETTINGS):
        raise ValueError(f"{text!r} is no selection of settings")
    return Selection(procedure, tuple(keys)) if text else None


def _words_of_point(point: Point) -> tuple[str, ...]:
    return point.over, str(point.size), str(point.draw), *point.order


def _point(text: str) -> Point | None:
    """Return the part that a trial trains on from its words, None for the many trials that train on all."""
    if not text:
        return None
    over, *numbers = text.split(" ")
    if over not in _CURVES or len(numbers) < 3 or not all(number.isdecimal() for number in numbers[:2]):
        raise ValueError(f"{text!r} is no part of a learning curve")
    point = Point(_CURVES[over], int(numbers[0]), int(numbers[1]), tuple(numbers[2:]))
    if not 0 < point.size < len(point.order):
        raise ValueError(f"{text!r} is no part of a learning curve")
    return point


def _trained_on(trial: Trial, point: Point) -> set[str]:
    runs = trial.split.training_runs or []
    return set(map(str, runs)) if point.over == "runs" else set(trial.subjects)


def _not_a_plan(path: Path, why: str) -> UserError:
    return UserError(f"{path}: not a plan of this version ({why}); move it elsewhere and launch again")
