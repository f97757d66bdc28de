"""Re-reads packed subject files and their controls, and checks every checksum."""

from pathlib import Path

import numpy as np
from isal import isal_zlib

from deepemotion.errors import UserError
from deepemotion.subject_file.control_file import ControlFile, is_control_file
from deepemotion.subject_file.format import STATISTICS
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.run_statistics import BLOCK, UNSCALED, RunStatistics

# Statistics are float32; another machine may round the last digits differently.
_TOLERANCE = 1e-4


def problems(path: Path) -> list[str]:
    """Return what is wrong with a packed subject file, or with one of controls; the list is empty if nothing is.

    Raises UserError if the file is missing, truncated or neither of them.
    """
    if is_control_file(path):
        return _wrong_controls(path)
    with SubjectFile(path) as file:
        try:
            return _wrong_arrays(file) or _wrong_volumes(file) or _wrong_statistics(file)
        except UserError as error:
            return [str(error).removeprefix(f"{path}: ")]


def _wrong_controls(path: Path) -> list[str]:
    with ControlFile(path) as file:
        try:
            for control in file.header.controls:
                file.series(control)
        except UserError as error:
            return [str(error).removeprefix(f"{path}: ")]
    return []


def _wrong_volumes(file: SubjectFile) -> list[str]:
    volume = np.empty((1, file.voxels), np.int16)
    wrong = [
        row for row in range(file.total) if isal_zlib.crc32(file.read(np.array([row]), out=volume)) != file.crc32[row]
    ]
    return [f"{len(wrong)} of {file.total} volumes are damaged, the first is {wrong[0]}"] if wrong else []


def _wrong_arrays(file: SubjectFile) -> list[str]:
    wrong = []
    for name in file.array_names:
        try:
            file.array(name)
        except UserError as error:
            wrong.append(str(error).removeprefix(f"{file.path}: "))
    return wrong


def _wrong_statistics(file: SubjectFile) -> list[str]:
    wrong = []
    voxel_scale = file.voxel_scale() if file.has_voxel_scale else None
    for row, run in enumerate(file.volumes_per_run):
        statistics = RunStatistics(file.voxels)
        rows = np.flatnonzero(file.run == run)
        for block in (rows[i : i + BLOCK] for i in range(0, len(rows), BLOCK)):
            statistics.add(file.read(block), file.scale[block] if voxel_scale is None else UNSCALED[: len(block)])
        again = statistics.result(None if voxel_scale is None else (voxel_scale[0][row], voxel_scale[1][row]))
        wrong += [
            f"run {run}: the stored {name} does not match its volumes"
            for name in STATISTICS
            if not np.allclose(file.statistics(name)[row], again[name], atol=_TOLERANCE * np.abs(again[name]).max())
        ]
    return wrong
