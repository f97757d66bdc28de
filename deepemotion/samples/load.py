"""Loads labelled volumes: joins subject files with labels, in the unit and on the voxel grid that the settings ask for.

Shape suffixes as in samples.py.
"""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.samples import timing
from deepemotion.samples.agreement import Space, require_one_space
from deepemotion.samples.confounds import bases
from deepemotion.samples.grid import Grid
from deepemotion.samples.normalisation import Normaliser, normaliser
from deepemotion.samples.reader import Reader
from deepemotion.samples.residuals import ResidualReader
from deepemotion.samples.samples import Samples, SampleTable
from deepemotion.samples.volume_reader import VolumeReader
from deepemotion.samples.volumes import Held, Staged, SubjectFiles, Volumes
from deepemotion.settings.schema import DataSettings
from deepemotion.subject_file.folder import open_subjects
from deepemotion.subject_file.reader import SubjectFile


def load(
    packed: Path, subjects: list[str], labels: Labels, settings: DataSettings, *, most_bytes: int | None = None
) -> Samples:
    """Load the labelled volumes of `subjects` from their packed files, as `load_opened` does.

    The files of streamed volumes stay open as long as the samples are used. Raises UserError as `load_opened` does, and
    if a file cannot be opened.
    """
    with ExitStack() as opened:
        files = opened.enter_context(open_subjects(packed, subjects))
        samples = load_opened(files, labels, settings, most_bytes=most_bytes)
        if samples.streamed:
            opened.pop_all()
    return samples


def load_opened(
    files: Mapping[str, SubjectFile],
    labels: Labels | None,
    settings: DataSettings,
    *,
    most_bytes: int | None = None,
    grid: Grid | None = None,
) -> Samples:
    """Load the labelled volumes of the subjects in `files`; if they exceed `most_bytes`, they are streamed.

    A volume's label is that of the interval that contains its movie time minus the lag. Without `labels`, all volumes
    are loaded: there are no classes, and each has the label -1. If masks differ, the voxels that all subjects share are
    used; `grid` asks for those of other samples instead. With `settings.confounds` volumes are residuals, found by
    reading all volumes once before. Streamed volumes are read from their files, which must stay open, whenever a batch
    is made. Raises UserError if files do not match each other, a subject lacks a confound or nothing is labelled.
    """
    if grid is None:
        grid = common_grid(files.values(), settings)
    chosen = {subject: _choose(file, labels, settings) for subject, file in files.items()}
    # Before anything is read: a subject may lack a confound.
    regressed = {subject: bases(file, settings) for subject, file in files.items() if settings.confounds}
    total = sum(len(one.rows) for one in chosen.values())
    if total == 0:
        folder = next(iter(files.values())).path.parent
        raise UserError(f"{folder}: no volume of subjects {', '.join(files)} has a label at lag {settings.lag_s} s")

    streamed = most_bytes is not None and 2 * total * len(grid.voxels) > most_bytes
    volumes_NV = np.empty((0 if streamed else total, len(grid.voxels)), np.int16)
    readers: list[Reader] = []
    columns, normalisers, end, groups = [], [], 0, 0
    for subject, file in files.items():
        rows = chosen[subject].rows
        start, end = end, end + len(rows)
        reader: Reader = VolumeReader(file, grid)
        if settings.confounds:
            reader = ResidualReader(reader, regressed[subject], keep=streamed)
        scale_N2 = reader.scale(rows) if streamed else reader.read_side_by_side(rows, volumes_NV[start:end])
        columns.append(_columns(file, chosen[subject], scale_N2, groups))
        groups += len(file.volumes_per_run)
        normalisers.append(normaliser(reader, settings.normalisation))
        if streamed:
            readers.append(reader)

    volumes: Volumes = Held(torch.from_numpy(volumes_NV))
    if streamed:
        store = SubjectFiles(readers, [one.rows for one in chosen.values()], len(grid.voxels))
        volumes = Staged(store, torch.device("cpu"))
    return _joined(columns, normalisers, labels.classes if labels else (), grid, volumes)


def common_mask(files: Iterable[SubjectFile]) -> NDArray[np.bool_]:
    """Return the voxels (X, Y, Z) that all files have. Raises UserError if grids differ or no voxel is shared."""
    first, *others = files
    require_one_space([Space.of(file) for file in (first, *others)])
    common: NDArray[np.bool_] = np.logical_and.reduce([file.mask for file in (first, *others)])
    if not common.any():
        subjects = ", ".join(file.subject for file in (first, *others))
        raise UserError(f"{first.path.parent}: the masks of subjects {subjects} share no voxel")
    return common


def common_grid(files: Iterable[SubjectFile], settings: DataSettings) -> Grid:
    """Return the grid of the voxels that all files have, as the settings ask for. Raises UserError as `common_mask`."""
    return Grid.of(common_mask(files), settings)


@dataclass(frozen=True)
class _Chosen:
    """The n volumes of a subject that are loaded: rows of its file, movie times (s), labels, shares of observers.

    `observers` as in `SampleTable`.
    """

    rows: NDArray[np.int64]
    movie_time: NDArray[np.float64]
    label: NDArray[np.int64]
    soft: NDArray[np.float32]
    observers: NDArray[np.float32] | None = None


def _choose(file: SubjectFile, labels: Labels | None, settings: DataSettings) -> _Chosen:
    """Return the volumes of a file that have a label, or all if there are no labels."""
    movie_time = timing.movie_times(file.segments, file.tr, file.run, file.index_in_run, settings.timing)
    keep = np.ones(file.total, np.bool_)
    label, soft = np.full(file.total, -1), np.zeros((file.total, 0), np.float32)
    observers = None
    if labels is not None:
        label_row = labels.at(movie_time - settings.lag_s)
        label, soft = labels.emotion[label_row], labels.soft[label_row]
        keep = (label_row >= 0) & (label >= 0)
        if labels.observer_scores is not None:
            scores = labels.observer_scores
            observers = np.stack([scores.compared, scores.right], axis=1).astype(np.float32)[label_row]
    if settings.drop_overlaps:
        keep &= timing.outside_overlaps(file.segments, file.run, file.movie_time)
    rows = np.flatnonzero(keep)
    return _Chosen(rows, movie_time[rows], label[rows], soft[rows], None if observers is None else observers[rows])


def _columns(
    file: SubjectFile, chosen: _Chosen, scale_N2: NDArray[np.float64], first_group: int
) -> dict[str, NDArray[np.generic]]:
    """Return the columns of a subject's volumes; its runs are the groups from `first_group` on."""
    rows = chosen.rows
    run = file.run[rows]
    # Statistics are in movie order, whatever the numbers of the runs.
    place = {number: row for row, number in enumerate(file.volumes_per_run)}
    run_row = np.array([place[number] for number in run.tolist()], np.int64)
    length = np.array(list(file.volumes_per_run.values()))
    columns: dict[str, NDArray[np.generic]] = {
        "subject": np.full(len(rows), file.subject),
        "run": run,
        "index_in_run": file.index_in_run[rows].astype(np.int64),
        "movie_time": chosen.movie_time,
        "true_time": file.movie_time[rows],
        "label": chosen.label,
        "soft": chosen.soft,
        "scale": scale_N2.astype(np.float32),
        "group": run_row + first_group,
        "position": (file.index_in_run[rows] - (length[run_row] - 1) / 2).astype(np.float32),
    }
    return columns if chosen.observers is None else {**columns, "observers": chosen.observers}


def _joined(
    columns: list[dict[str, NDArray[np.generic]]],
    normalisers: list[Normaliser],
    classes: tuple[str, ...],
    grid: Grid,
    volumes: Volumes,
) -> Samples:
    whole = {key: np.concatenate([column[key] for column in columns]) for key in columns[0]}
    offset, gain, trend = (_stack([parts[i] for parts in normalisers]) for i in range(3))
    return Samples(
        SampleTable(**{column.name: whole[column.name] for column in fields(SampleTable) if column.name in whole}),
        classes,
        grid,
        torch.from_numpy(grid.voxels),
        volumes,
        torch.from_numpy(whole["scale"]),
        torch.from_numpy(whole["group"]),
        offset,
        gain,
        trend,
        torch.from_numpy(whole["position"]),
    )


def _stack(parts: list[NDArray[np.float32] | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    if not present:
        return None
    return torch.from_numpy(present[0] if len(present) == 1 else np.concatenate(present))
