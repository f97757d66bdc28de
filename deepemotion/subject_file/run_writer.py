"""Writes one run of a subject file, volume by volume, and gathers its statistics."""

from concurrent.futures import Future
from typing import TYPE_CHECKING

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from deepemotion.subject_file.format import RunRecord
from deepemotion.subject_file.run_statistics import BLOCK, RunStatistics
from deepemotion.subject_file.uncached_file import PAGE

if TYPE_CHECKING:
    from deepemotion.subject_file.writer import SubjectWriter


class RunWriter:
    """Takes the volumes of one run in order, and then its record; gathers its statistics."""

    def __init__(self, subject: "SubjectWriter", first_row: int) -> None:
        self._subject = subject
        self._row = first_row
        self._statistics = RunStatistics(subject.voxels)
        # While the volumes in one are being written the next ones come into the other.
        self._memory = [np.empty(BLOCK * subject.voxels + PAGE // 2, "<i2") for _ in range(2)]
        self._block = subject.room(self._memory[0], first_row)
        self._scale = np.empty((BLOCK, 2))
        self._crc32 = np.empty(BLOCK, np.uint32)
        self._waiting = 0
        self._written: Future[None] | None = None

    def room(self) -> NDArray[np.int16]:
        """Return where the next volume (V,) may be put together before it is added: so it need not be copied."""
        room: NDArray[np.int16] = self._block[self._waiting]
        return room

    def add_volume(self, stored: NDArray[np.int16], slope: float, intercept: float) -> None:
        """Append a volume (V,), in its `room()` or anywhere; physical value = slope * stored + intercept."""
        room = self.room()
        if not np.may_share_memory(stored, room):
            room[:] = stored
        self._crc32[self._waiting] = isal_zlib.crc32(room)
        self._scale[self._waiting] = slope, intercept
        self._waiting += 1
        if self._waiting == BLOCK:
            self._write()

    def end(self, record: RunRecord) -> None:
        """Close the run: `record` says where its volumes came from."""
        if self._waiting:
            self._write()
        self._wait()
        self._subject.end_run(record, self._statistics.result())

    def _write(self) -> None:
        volumes, scale = self._block[: self._waiting], self._scale[: self._waiting]
        self._wait()
        self._written = self._subject.write(self._row, volumes, scale, self._crc32[: self._waiting])
        self._statistics.add(volumes, scale)
        self._row, self._waiting = self._row + self._waiting, 0
        self._memory.reverse()
        self._block = self._subject.room(self._memory[0], self._row)

    def _wait(self) -> None:
        if self._written is not None:
            self._written.result()
