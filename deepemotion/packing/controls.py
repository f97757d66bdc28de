"""Packs the controls of a subject beside it: from the files of its description, and from the packed file itself.

Files are read, and wrong ones rejected, before anything of the subject is written; what did not change since the
existing file of controls is taken from there.
"""

import glob
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepemotion.dataset.control_sources import ControlSource
from deepemotion.dataset.description import Dataset
from deepemotion.errors import UserError
from deepemotion.packing.control_readers import ControlRuns, read_series
from deepemotion.packing.global_signal import read_global_signal
from deepemotion.packing.input_file import is_pointer
from deepemotion.packing.inputs import is_unchanged, source
from deepemotion.subject_file.control_file import (
    ControlFile,
    ControlHeader,
    PackedSource,
    control_path,
    write_control_file,
)
from deepemotion.subject_file.control_series import Series, VolumeSeries
from deepemotion.subject_file.opening import NotASubjectFileError
from deepemotion.subject_file.reader import SubjectFile

GLOBAL_SIGNAL = "global-signal"


@dataclass(frozen=True)
class PackedControls:
    """What packing did with a subject's controls: their names, whether the file was written, and what is missing.

    `left_out` maps a control to the file that it lacks. `notes` say how files were read.
    """

    path: Path
    names: list[str]
    written: bool
    left_out: dict[str, str]
    notes: list[str]


@dataclass
class ReadControls:
    """The controls of a subject that were read from files, ready to be written once the subject itself is packed.

    `existing` is the file to replace, None if it is missing or damaged. `kept` counts the sources taken from there.
    """

    path: Path
    volumes: dict[int, int]
    existing: ControlFile | None
    left_out: dict[str, str] = field(default_factory=dict)
    series: dict[str, list[Series]] = field(default_factory=dict)
    sources: list[PackedSource] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    kept: int = 0

    def __enter__(self) -> "ReadControls":
        return self

    def __exit__(self, *_: object) -> None:
        if self.existing is not None:
            self.existing.close()

    def write(self, packed: Path, signal: VolumeSeries | None = None) -> PackedControls:
        """Write the file of controls beside the `packed` subject, unless it is up to date. Raises UserError.

        `signal` is the global one if it is known; else it is read.
        """
        names = [GLOBAL_SIGNAL, *self.series]
        known: list[Series] = [] if signal is None else [signal]
        with SubjectFile(packed) as file:
            if self.existing is not None and self.existing.header.packed == file.checksum:
                known = self.existing.series(GLOBAL_SIGNAL)
                # Sources that are kept are the existing ones, which may have come in another order.
                if self.kept == len(self.sources) and self.sources == self.existing.header.sources:
                    return PackedControls(self.path, names, False, self.left_out, self.notes)
            series = {GLOBAL_SIGNAL: known or [read_global_signal(file)], **self.series}
            header = ControlHeader(
                subject=file.subject,
                dataset=file.dataset_name,
                tr=file.tr,
                packed=file.checksum,
                volumes=self.volumes,
                sources=self.sources,
                notes=self.notes,
            )
        write_control_file(self.path, header, series)
        return PackedControls(self.path, names, True, self.left_out, self.notes)


def read_controls(dataset: Dataset, root: Path, subject: str, out: Path, volumes: Mapping[int, int]) -> ReadControls:
    """Read the controls that a description names, for a subject whose runs have so many `volumes`.

    A control of which a file is missing, or was not downloaded, is left out. Raises UserError for files that are there
    but wrong, and if the file to replace is not one of controls.
    """
    path = control_path(out, subject)
    read = ReadControls(path, dict(volumes), _open_existing(path))
    try:
        found = []
        for described in dataset.controls:
            runs = _find(described, dataset, root, subject, volumes, read.left_out)
            if runs is not None:
                found.append(runs)
        for runs in found:
            if runs.source.control not in read.left_out:
                _add(read, runs, out)
    except BaseException:
        read.__exit__()
        raise
    return read


def _find(
    described: ControlSource,
    dataset: Dataset,
    root: Path,
    subject: str,
    volumes: Mapping[int, int],
    left_out: dict[str, str],
) -> ControlRuns | None:
    """Return the files of a source, or add the first one that is missing to `left_out`."""
    files = {run: root / described.file.format(subject=subject, run=run) for run in volumes}
    missing = next((path for path in files.values() if not _is_here(path)), None)
    if missing is not None:
        why = "was not downloaded" if missing.is_symlink() or missing.exists() else "not found"
        left_out.setdefault(described.control, f"{missing} {why}")
        return None
    sidecars: dict[int, list[Path]] = {}
    if described.kind == "physio":
        for run, path in files.items():
            sidecars[run] = _sidecars(path, root)
            if not sidecars[run]:
                left_out.setdefault(described.control, f"{path} has no JSON file, beside it or in a folder above")
                return None
    seconds = {segment.run: segment.end - segment.start for segment in dataset.segments}
    return ControlRuns(described, dataset.tr, files, sidecars, volumes, seconds)


def _is_here(path: Path) -> bool:
    """Return whether a file is there with its content."""
    try:
        return path.is_file() and not is_pointer(path)
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror or error}") from error


def _sidecars(path: Path, root: Path) -> list[Path]:
    """Return the JSON files that hold for a recording by BIDS's rule of inheritance, the nearest first.

    They end in the same suffix, and have no entity in their names that the recording's lacks.
    """
    *entities, suffix = path.name.partition(".")[0].split("_")
    folder, found = path.parent, []
    while True:
        able = [
            candidate
            for candidate in folder.glob(f"*{glob.escape(suffix)}.json")
            if candidate.stem.split("_")[-1] == suffix and {*candidate.stem.split("_")[:-1]} <= {*entities}
        ]
        if able:
            found.append(max(able, key=lambda candidate: len(candidate.stem)))
        if folder in (root, folder.parent):
            return found
        folder = folder.parent


def _add(read: ReadControls, runs: ControlRuns, out: Path) -> None:
    """Add the series of a source, from an existing file of controls if its files are as they were then."""
    described, paths = runs.source, runs.paths
    if read.existing is not None:
        kept = _recorded(read.existing, described, paths, read.volumes, runs.tr)
        if kept is not None:
            read.kept += 1
            _append(read, *kept)
            return
    if described.kind == "bold" and "{subject" not in described.file:
        # A phantom is everybody's, and takes as long to read as a subject does.
        for other in sorted(set(out.glob("controls_sub-*.h5")) - {read.path}):
            kept = _from_another(other, described, paths, read.volumes)
            if kept is not None:
                _append(read, *kept)
                return
    series, notes = read_series(runs)
    record = PackedSource(**described.model_dump(), files=[source(path) for path in paths])
    _append(read, series, record, notes)


def _append(read: ReadControls, series: Series, record: PackedSource, notes: list[str]) -> None:
    read.series.setdefault(record.control, []).append(series)
    read.sources.append(record)
    read.notes.extend(note for note in notes if note not in read.notes)


_Kept = tuple[Series, PackedSource, list[str]]


def _recorded(
    file: ControlFile, described: ControlSource, paths: list[Path], volumes: Mapping[int, int], tr: float
) -> _Kept | None:
    """Return the series of a source as packed before, None if its files, the runs or the TR have changed since."""
    if list(file.header.volumes.items()) != list(volumes.items()) or file.header.tr != tr:
        return None
    return _unchanged(file, described, paths)


def _unchanged(file: ControlFile, described: ControlSource, paths: list[Path]) -> _Kept | None:
    place: dict[str, int] = {}
    for record in file.header.sources:
        number = place[record.control] = place.get(record.control, -1) + 1
        same = record.model_dump(exclude={"files"}) == described.model_dump() and len(record.files) == len(paths)
        if same and all(is_unchanged(known, path) for known, path in zip(record.files, paths, strict=True)):
            notes = [note for note in file.header.notes if note.startswith(f"{record.control}:")]
            return file.series(record.control)[number], record, notes
    return None


def _from_another(path: Path, described: ControlSource, paths: list[Path], volumes: Mapping[int, int]) -> _Kept | None:
    """Return the series of a source as packed for another subject with runs that are at least as long."""
    with ExitStack() as opened:
        try:
            file = opened.enter_context(ControlFile(path))
            kept = _unchanged(file, described, paths)
        except UserError:
            return None
        lengths = file.header.volumes
        if kept is None or list(lengths) != list(volumes) or any(lengths[run] < volumes[run] for run in volumes):
            return None
        series, record, notes = kept
        assert isinstance(series, VolumeSeries)
        wanted = np.concatenate([np.arange(lengths[run]) < volumes[run] for run in volumes])
        return VolumeSeries(series.columns, series.values[wanted]), record, notes


def _open_existing(path: Path) -> ControlFile | None:
    """Open the file to replace, None if it is missing or damaged. Raises UserError if it is not one of controls."""
    if not path.exists():
        return None
    try:
        file = ControlFile(path)
    except NotASubjectFileError:
        raise
    except UserError:
        return None
    try:
        for control in file.header.controls:
            file.series(control)
    except UserError:
        file.close()
        return None
    return file
