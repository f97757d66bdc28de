"""Keeps a run's voxels on disk between two passes: their scale is known only once all have been read."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


class Spool:
    """An unnamed file in `folder` for volumes (V,) of one type; it disappears when the block or the process ends.

    Decompressing a run a second time would take several times longer.
    """

    def __init__(self, folder: Path, voxels: int, dtype: np.dtype[Any]) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed by __exit__)
        self._values: NDArray[Any] = np.empty(voxels, dtype)
        self._volumes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, values: NDArray[Any]) -> None:
        """Append a volume. Raises OSError if the disk is full."""
        self._file.write(values.data.cast("B"))
        self._volumes += 1

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Read the volumes in order, each into the same memory."""
        self._file.seek(0)
        for _ in range(self._volumes):
            self._file.readinto(self._values.data.cast("B"))
            yield self._values
