"""Re-reads packed subject files and checks every checksum."""

from pathlib import Path

import numpy as np
from isal import isal_zlib

from deepemotion.subject_file import SubjectFile
from deepemotion.subject_format import CHECKED, content_checksum


def problems(path: Path) -> list[str]:
    """Return what is wrong with a packed subject file, nothing for a sound one.

    Raises UserError where the file is missing, truncated, not a subject file, or a part of it cannot be read.
    """
    with SubjectFile(path) as file:
        found = []
        volume = np.empty((1, file.voxels), np.int16)
        crc32 = file.crc32
        damaged = [
            row for row in range(file.total) if isal_zlib.crc32(file.read(np.array([row]), out=volume)) != crc32[row]
        ]
        if damaged:
            found.append(f"{len(damaged)} of {file.total} volumes are damaged, the first is {damaged[0]}")
        arrays = {name: file.array(name, _DTYPES.get(name.partition("/")[0], np.float64)) for name in CHECKED}
        if content_checksum(file.header, arrays) != file.checksum:
            found.append("the checksum of its arrays and attributes does not match")
    return found


_DTYPES: dict[str, type[np.generic]] = {
    "crc32": np.uint32,
    "mask": np.bool_,
    "run": np.int8,
    "index_in_run": np.int32,
    "statistics": np.float32,
}
