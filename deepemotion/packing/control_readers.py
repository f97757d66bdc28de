"""Reads the files of a control into series: motion parameters, time series of volumes, recordings and events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepemotion.dataset.control_sources import ControlSource
from deepemotion.errors import UserError
from deepemotion.packing import phantom
from deepemotion.packing.control_tables import Table, read_matrix, read_object
from deepemotion.subject_file.control_series import EventSeries, Series, VolumeSeries

# What a recording's JSON files have to say.
_DESCRIBED = ("Columns", "SamplingFrequency", "StartTime")
# An event without a duration, or a duration of 0, counts for so many seconds.
_INSTANT_S = 0.1
# More categories are words or names, and their columns would be as many as volumes.
_MOST_CATEGORIES = 100
_NAME_COLUMNS = "name the columns to use in the description (columns)"
# As many names of columns as fit into a line of an error.
_SHOWN = 5
# Events may begin so many run lengths before or after the run's first volume: beyond that, a unit or origin is wrong.
_FARTHEST_RUNS = 1.5


@dataclass(frozen=True)
class ControlRuns:
    """Where a source's files are, and what they have to fit: the runs of one packed subject, in its order.

    `sidecars` are the JSON files of each, the nearest first. `volumes` are those that the subject has, `seconds` how
    long the run was to last.
    """

    source: ControlSource
    tr: float
    files: Mapping[int, Path]
    sidecars: Mapping[int, Sequence[Path]]
    volumes: Mapping[int, int]
    seconds: Mapping[int, float]

    @property
    def paths(self) -> list[Path]:
        """All files that are read."""
        return [*self.files.values(), *dict.fromkeys(path for paths in self.sidecars.values() for path in paths)]


def read_series(runs: ControlRuns) -> tuple[Series, list[str]]:
    """Return the series of a source, and notes on how it was reduced. Raises UserError for a file that does not fit."""
    if runs.source.kind == "bold":
        return phantom.read_phantom(runs.files, runs.volumes)
    if runs.source.kind == "events":
        return _events(runs)
    read = {"motion": _motion, "timeseries": _time_series, "physio": _recording}[runs.source.kind]
    columns, parts = None, []
    for run, path in runs.files.items():
        names, values = read(runs, run, path)
        if columns is None:
            columns = names
        elif set(names) != set(columns):
            remedy = "" if runs.source.kind == "motion" else f"; {_NAME_COLUMNS}"
            raise UserError(f"{path}: {_difference(names, columns)}{remedy}")
        parts.append(values[:, [names.index(name) for name in columns]])
    assert columns is not None
    if runs.source.control == "stimulus":
        return _as_events(columns, parts, runs), []
    return VolumeSeries(tuple(columns), np.concatenate(parts).astype(np.float32)), []


def _difference(names: Sequence[str], earlier: Sequence[str]) -> str:
    """Return which columns a run has and an earlier one lacks, and the other way round, in a sentence."""
    parts = []
    for columns, others, verb in ((names, earlier, "has"), (earlier, names, "lacks")):
        found = [name for name in columns if name not in set(others)]
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        parts += [f"{verb} {', '.join(found[:_SHOWN])}{more}"] if found else []
    return f"other columns than an earlier run, it {' and '.join(parts)}"


def _motion(runs: ControlRuns, run: int, path: Path) -> tuple[list[str], NDArray[np.float64]]:
    values = read_matrix(path)
    _require_rows(path, len(values), runs, run)
    return [f"motion{number}" for number in range(1, values.shape[1] + 1)], values


def _time_series(runs: ControlRuns, run: int, path: Path) -> tuple[list[str], NDArray[np.float64]]:
    table = Table(path)
    _require_rows(path, table.rows, runs, run)
    columns = runs.source.columns or list(table.cells)
    table.require(columns)
    return columns, np.stack([table.numbers(column) for column in columns], axis=1)


def _recording(runs: ControlRuns, run: int, path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """Return mean and SD of each column over the acquisition of each volume (T, 2C), NaN where nothing was recorded."""
    sidecar = runs.sidecars[run][0]
    described = _inherited(runs.sidecars[run])
    try:
        if not isinstance(described["Columns"], list):
            raise TypeError
        names = [str(name) for name in described["Columns"]]
        frequency, start = float(described["SamplingFrequency"]), float(described["StartTime"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{sidecar}: needs Columns, SamplingFrequency (Hz) and StartTime (s)") from error
    if len(set(names)) != len(names) or not names:
        raise UserError(f"{sidecar}: Columns must have different names")
    if not (1e-3 <= frequency <= 1e6 and abs(start) <= 1e6):
        raise UserError(f"{sidecar}: SamplingFrequency {frequency:g} Hz or StartTime {start:g} s cannot be")
    columns = runs.source.columns or names
    for column in columns:
        if column not in names:
            raise UserError(f"{sidecar}: no column {column!r}; it has {', '.join(names)}")
    values = read_matrix(path, len(names))[:, [names.index(column) for column in columns]]
    volumes = runs.volumes[run]
    volume = np.floor((start + np.arange(len(values)) / frequency) / runs.tr + 1e-9).astype(np.int64)
    inside = (volume >= 0) & (volume < volumes)
    recorded = len(np.unique(volume[inside]))
    if 2 * recorded < volumes:
        raise UserError(
            f"{path}: recorded during {recorded} of {volumes} volumes; are SamplingFrequency ({frequency:g} Hz) and"
            f" StartTime ({start:g} s) in {sidecar.name} right?"
        )
    moments = [_mean_and_sd(values[inside, c], volume[inside], volumes) for c in range(len(columns))]
    both = [f"{column}{suffix}" for column in columns for suffix in ("", "_sd")]
    return both, np.stack([part for pair in moments for part in pair], axis=1)


def _inherited(sidecars: Sequence[Path]) -> dict[str, Any]:
    """Return what JSON files say of a recording, each value by the nearest file that has it."""
    described: dict[str, Any] = {}
    for path in sidecars:
        described = read_object(path) | described
        if set(_DESCRIBED) <= set(described):
            break
    return described


def _mean_and_sd(
    values: NDArray[np.float64], volume: NDArray[np.int64], volumes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    known = np.isfinite(values)
    values, volume = values[known], volume[known]
    count = np.bincount(volume, minlength=volumes)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(volume, values, volumes) / count
        sd = np.sqrt(np.bincount(volume, (values - mean[volume]) ** 2, volumes) / count)
    return mean, sd


def _require_rows(path: Path, rows: int, runs: ControlRuns, run: int) -> None:
    volumes, complete = runs.volumes[run], round(runs.seconds[run] / runs.tr)
    # A stimulus is everybody's, whoever has left its run early.
    if rows not in ({volumes, complete} if runs.source.control == "stimulus" else {volumes}):
        raise UserError(f"{path}: {rows} rows, but run {run} has {volumes} volumes; it needs one row per volume")


def _as_events(columns: list[str], parts: list[NDArray[np.float64]], runs: ControlRuns) -> EventSeries:
    """Return a stimulus with a row per volume as events of a TR each, so that it can be read with a lag."""
    counts = [len(part) for part in parts]
    return EventSeries(
        tuple(columns),
        0,
        np.repeat(list(runs.files), counts).astype(np.int16),
        np.concatenate([np.arange(count) * runs.tr for count in counts]),
        np.full(sum(counts), runs.tr),
        np.concatenate(parts).astype(np.float32),
    )


def _events(runs: ControlRuns) -> tuple[EventSeries, list[str]]:
    """Return the events of all runs, and a note for each column of categories that holds numbers too."""
    tables = {run: Table(path) for run, path in runs.files.items()}
    columns = runs.source.columns or [
        name for name in next(iter(tables.values())).cells if name not in ("onset", "duration")
    ]
    for table in tables.values():
        table.require(["onset", "duration", *columns])
    onset, duration = zip(*(_times(table, runs, run) for run, table in tables.items()), strict=True)
    if not any(table.rows for table in tables.values()):
        raise UserError(f"{next(iter(tables.values())).path}: no event, nor in the files of the other runs")
    words = {name: [(table, table.first_word(name)) for table in tables.values()] for name in columns}
    numeric = [name for name in columns if all(row is None for _, row in words[name])]
    names, notes = list(numeric), []
    values = [np.concatenate([table.numbers(name) for table in tables.values()]) for name in numeric]
    for name in columns:
        if name not in numeric:
            texts = np.array([text for table in tables.values() for text in table.texts(name)])
            categories = sorted(set(texts.tolist()) - {""})
            if len(categories) > _MOST_CATEGORIES:
                raise UserError(
                    f"{next(iter(tables.values())).path}: column {name!r} has {len(categories)} categories over all"
                    f" runs, more than {_MOST_CATEGORIES}; {_NAME_COLUMNS}"
                )
            notes += _mixed(name, words[name])
            names += [f"{name}={category}" for category in categories]
            values += [(texts == category).astype(np.float64) for category in categories]
    run = np.repeat(list(tables), [table.rows for table in tables.values()]).astype(np.int16)
    stacked = np.stack(values, axis=1) if values else np.zeros((len(run), 0))
    return EventSeries(
        tuple(names),
        len(names) - len(numeric),
        run,
        np.concatenate(onset),
        np.concatenate(duration),
        stacked.astype(np.float32),
    ), notes


def _mixed(name: str, words: Sequence[tuple[Table, int | None]]) -> list[str]:
    """Return a note on a column of categories that has numbers as well, given the first word of each table."""
    found = sum(table.numbers_among(name) for table, _ in words)
    if not found:
        return []
    table, row = next((table, row) for table, row in words if row is not None)
    return [
        f"stimulus: column {name} is taken for categories: {found} of its cells are numbers, but"
        f" {table.cells[name][row]!r} ({table.path.name}:{row + 2}) is none"
    ]


def _times(table: Table, runs: ControlRuns, run: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return onset and duration (E,) of a run's events in seconds. Raises UserError for those that cannot be."""
    onset, duration = table.numbers("onset"), table.numbers("duration")
    length = max(runs.seconds[run], runs.volumes[run] * runs.tr)
    for wrong, problem in (
        (np.isnan(onset), "no onset"),
        (duration < 0, "a duration below 0"),
        (np.abs(onset) > _FARTHEST_RUNS * length, "an onset far from the run"),
        (duration > _FARTHEST_RUNS * length, "a duration far beyond the run"),
    ):
        if wrong.any():
            first = int(wrong.argmax())
            raise UserError(
                f"{table.path}:{first + 2}: {problem} (onset {onset[first]:g} s, duration {duration[first]:g} s, run"
                f" {run} lasts {length:g} s); times are seconds from the run's first volume"
            )
    return onset, np.where(duration > 0, duration, _INSTANT_S)
