"""Features of a control for every volume of its subjects, from their moments or from what was packed beside them."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from deepemotion.controls import time, volume_series
from deepemotion.controls.stimulus import Stimulus
from deepemotion.errors import UserError
from deepemotion.subject_file.control_file import ControlFile
from deepemotion.subject_file.control_series import EventSeries, Series
from deepemotion.subject_file.reader import SubjectFile


def features(control: str, files: Mapping[str, SubjectFile], lag_s: float) -> dict[str, NDArray[np.float32]]:
    """Return the features (T, F) of all volumes of each subject, in their file's order, from the columns that all have.

    Values of volumes belong to the scanner's time, as voxels do; a stimulus is taken `lag_s` seconds before a volume,
    as labels are. Raises UserError where a subject has no such control, its file is damaged, or nothing is shared.
    """
    if control == "time":
        return {subject: time.features(file) for subject, file in files.items()}
    series = _shared_series(control, files)
    stimuli = {
        number: Stimulus(parts, next(iter(files.values())).tr)
        for number, parts in enumerate(zip(*series.values(), strict=True))
        if all(isinstance(part, EventSeries) for part in parts)
    }
    found = {}
    for subject, file in files.items():
        first, runs = 0, []
        for run, volumes in file.volumes_per_run.items():
            rows = slice(first, first + volumes)
            first += volumes
            columns = []
            for number, part in enumerate(series[subject]):
                if isinstance(part, EventSeries):
                    columns.append(stimuli[number].features(part, run, volumes, lag_s).astype(np.float32))
                else:
                    columns.append(volume_series.features(part.values[rows], with_differences=control == "motion"))
            runs.append(np.concatenate(columns, axis=1))
        found[subject] = np.concatenate(runs)
    return found


def _shared_series(control: str, files: Mapping[str, SubjectFile]) -> dict[str, list[Series]]:
    """Return the series of each subject with the columns that all have, in the first subject's order."""
    series: dict[str, list[Series]] = {}
    patterns: dict[str, list[str]] = {}
    with ExitStack() as opened:
        for subject, file in files.items():
            controls = opened.enter_context(ControlFile.of(file))
            series[subject] = controls.series(control)
            patterns[subject] = [source.file for source in controls.header.sources if source.control == control]
            first = next(iter(series))
            alike = [type(part) for part in series[first]] == [type(part) for part in series[subject]]
            if not alike or _in_another_order(patterns[first], patterns[subject]):
                raise UserError(
                    f"{controls.path}: control {control} is made of other files, or in another order; pack all"
                    " subjects alike"
                )
    for number, parts in enumerate(list(zip(*series.values(), strict=True))):
        shared = [name for name in parts[0].columns if all(name in part.columns for part in parts)]
        if not shared and any(part.columns for part in parts):
            raise UserError(f"control {control}: the subjects {', '.join(files)} have no column in common; pack alike")
        for subject, part in zip(files, parts, strict=True):
            series[subject][number] = part.only(shared)
    return series


def _in_another_order(first: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether a source of one subject is at another place in the other's."""
    return any(name in first and first.index(name) != place for place, name in enumerate(other))
