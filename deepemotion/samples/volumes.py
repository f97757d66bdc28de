"""Where a trial's int16 volumes are, and how they reach the device: held there, in host memory, or in their files.

Shape suffixes: N volumes, V voxels, B a batch.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepemotion.samples.reader import Reader

# Batches that are read while one is in use, each by its own thread: enough for many concurrent requests to a slow file
# system, and little memory compared with the activations of a step.
AHEAD = 4


class Store(Protocol):
    """Volumes of `voxels` voxels each, in host memory or in files."""

    voxels: int

    def fill(self, rows: NDArray[np.int64], out: NDArray[np.int16]) -> None:
        """Copy the volumes `rows` (B,) into `out` (B, V); called by several threads at once."""


class Volumes(Protocol):
    """N int16 volumes of V voxels, as batches on `device`."""

    device: torch.device

    def __getitem__(self, rows_B: Tensor) -> Tensor:
        """Return the volumes (B, V) of these rows."""

    def batches(self, rows_N: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (rows (B,) on the device, volumes (B, V)) in order; a batch is valid until the next is requested."""


class Held:
    """Volumes in the memory of the device that uses them. `volumes_NV` may be changed in place."""

    def __init__(self, volumes_NV: Tensor) -> None:
        self.volumes_NV = volumes_NV
        self.device = volumes_NV.device

    def __getitem__(self, rows_B: Tensor) -> Tensor:
        """Return the volumes (B, V) of these rows."""
        return self.volumes_NV[rows_B]

    def batches(self, rows_N: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (rows, volumes) in order."""
        for rows_B in rows_N.to(self.device).split(size):
            yield rows_B, self.volumes_NV[rows_B]


class HostMemory:
    """A store in host memory, for a device with too little memory."""

    def __init__(self, volumes_NV: Tensor) -> None:
        self.volumes_NV = volumes_NV
        self.voxels = volumes_NV.shape[1]

    def fill(self, rows: NDArray[np.int64], out: NDArray[np.int16]) -> None:
        """Copy the volumes `rows` into `out`."""
        # Checking the indices would make NumPy fill a copy of `out` first.
        np.take(self.volumes_NV.numpy(), rows, axis=0, out=out, mode="clip")


class SubjectFiles:
    """A store in the subjects' files, for trials that are larger than their memory.

    It has the labelled volumes of several subjects: first those of the first reader, in the order of its `rows`.
    """

    def __init__(self, readers: Sequence[Reader], rows: Sequence[NDArray[np.int64]], voxels: int) -> None:
        self._readers = readers
        self._rows = rows
        self._end_S = np.cumsum([len(one) for one in rows])
        self.voxels = voxels

    def fill(self, rows: NDArray[np.int64], out: NDArray[np.int16]) -> None:
        """Read the volumes `rows` into `out`. Raises UserError if a file is damaged."""
        for i, (row, subject) in enumerate(zip(rows, np.searchsorted(self._end_S, rows, side="right"), strict=True)):
            own = self._rows[subject]
            which = row - (self._end_S[subject] - len(own))
            self._readers[subject].read(own[which : which + 1], out[i : i + 1])


class Staged:
    """Volumes of a store, read by background threads ahead of their use, in the order of the epoch.

    For a GPU, they are read into pinned memory, from which they are copied while the host prepares further steps.
    """

    def __init__(self, store: Store, device: torch.device) -> None:
        self.store = store
        self.device = device

    def __getitem__(self, rows_B: Tensor) -> Tensor:
        """Read the volumes (B, V) of these rows, now."""
        volumes_BV = torch.empty(len(rows_B), self.store.voxels, dtype=torch.int16)
        self.store.fill(rows_B.cpu().numpy(), volumes_BV.numpy())
        return volumes_BV.to(self.device)

    def batches(self, rows_N: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (rows, volumes) in order, while the next batches are read; `rows_N` should be on the CPU."""
        parts = [rows_B.numpy() for rows_B in rows_N.cpu().split(size)]
        on_device = rows_N.to(self.device).split(size)
        buffers = [_Buffer(min(size, len(rows_N)), self.store.voxels, self.device) for _ in range(AHEAD + 1)]
        pool = ThreadPoolExecutor(AHEAD, thread_name_prefix="volumes")
        reading: deque[Future[Tensor]] = deque()
        try:
            for number, rows_B in enumerate(on_device):
                # The last buffer in the ring was that of the previous batch, which is no longer used.
                for ahead in range(number + len(reading), min(number + AHEAD + 1, len(parts))):
                    reading.append(pool.submit(buffers[ahead % len(buffers)].fill, self.store, parts[ahead]))
                host_BV = reading.popleft().result()
                yield rows_B, buffers[number % len(buffers)].to_device(host_BV)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


class _Buffer:
    """Host memory for one batch, pinned if it is copied to a GPU."""

    def __init__(self, size: int, voxels: int, device: torch.device) -> None:
        self._device = device
        self._cuda = device.type == "cuda"
        self._volumes_BV = torch.empty(size, voxels, dtype=torch.int16, pin_memory=self._cuda)
        self._copied: torch.cuda.Event | None = None

    def fill(self, store: Store, rows: NDArray[np.int64]) -> Tensor:
        if self._copied is not None:
            # In a thread that has nothing else to do; the training thread never waits for the device.
            self._copied.synchronize()
        host_BV = self._volumes_BV[: len(rows)]
        store.fill(rows, host_BV.numpy())
        return host_BV

    def to_device(self, host_BV: Tensor) -> Tensor:
        moved_BV = host_BV.to(self._device, non_blocking=True)
        if self._cuda:
            self._copied = torch.cuda.Event()
            self._copied.record()
        return moved_BV
