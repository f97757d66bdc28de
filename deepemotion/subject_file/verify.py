"""Re-reads packed subject files and checks every checksum."""

from pathlib import Path

import numpy as np
from isal import isal_zlib

from deepemotion.errors import UserError
from deepemotion.subject_file.format import CHECKED, STATISTICS, content_checksum
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.run_statistics import BLOCK, RunStatistics

# Statistics are float32; another machine may round their last digits otherwise.
_TOLERANCE = 1e-4


def problems(path: Path) -> list[str]:
    """Return what is wrong with a packed subject file, nothing for a sound one.

    Raises UserError where the file is missing, truncated or not a subject file.
    """
    with SubjectFile(path) as file:
        try:
            return _wrong_volumes(file) or _wrong_arrays(file) or _wrong_statistics(file)
        except UserError as error:
            return [str(error).removeprefix(f"{path}: ")]


def _wrong_volumes(file: SubjectFile) -> list[str]:
    volume = np.empty((1, file.voxels), np.int16)
    wrong = [
        row for row in range(file.total) if isal_zlib.crc32(file.read(np.array([row]), out=volume)) != file.crc32[row]
    ]
    return [f"{len(wrong)} of {file.total} volumes are damaged, the first is {wrong[0]}"] if wrong else []


def _wrong_arrays(file: SubjectFile) -> list[str]:
    arrays = {name: file.array(name, dtype) for name, dtype in CHECKED.items()}
    if content_checksum(file.header, arrays) == file.checksum:
        return []
    return ["its arrays or attributes are not those that were written (the checksum differs)"]


def _wrong_statistics(file: SubjectFile) -> list[str]:
    found = []
    for place, run in enumerate(file.volumes_per_run):
        statistics = RunStatistics(file.voxels)
        rows = np.flatnonzero(file.run == run)
        for block in (rows[i : i + BLOCK] for i in range(0, len(rows), BLOCK)):
            statistics.add(file.read(block), file.scale[block])
        again = statistics.result()
        found += [
            f"run {run}: the {name} is not that of its volumes"
            for name in STATISTICS
            if not np.allclose(file.statistics(name)[place], again[name], atol=_TOLERANCE * np.abs(again[name]).max())
        ]
    return found
