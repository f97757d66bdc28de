"""Where the volumes of a subject file that is being written go to, in a thread of its own."""

from concurrent.futures import Future, ThreadPoolExecutor

import h5py
import numpy as np
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.subject_file.options import Compression
from deepemotion.subject_file.run_statistics import BLOCK
from deepemotion.subject_file.uncached_file import PAGE, UncachedFile


class VolumeOutput:
    """Writes blocks of volumes beside the packing, to any row and for several runs at once.

    They go to where HDF5 says that they lie, but without it, unless they are compressed.
    """

    def __init__(
        self,
        file: h5py.File,
        total: int,
        voxels: int,
        compression: Compression,
        uncached: UncachedFile,
        writing: ThreadPoolExecutor,
    ) -> None:
        self.voxels = voxels
        self._uncached = uncached
        self._writing = writing
        self._volumes = _make_volumes(file, total, voxels, compression)
        self._compressed = compression is not Compression.NONE
        self._begin = 0 if self._compressed else self._volumes.id.get_chunk_info_by_coord((0, 0)).byte_offset

    def new_memory(self) -> NDArray[np.int16]:
        """Return memory for BLOCK volumes, with a page to spare for `block`."""
        return np.empty(BLOCK * self.voxels + PAGE // 2, "<i2")

    def block(self, memory: NDArray[np.int16], row: int) -> NDArray[np.int16]:
        """Return where in `memory` BLOCK volumes (BLOCK, V) should be to be written fastest from `row` on."""
        shift = (self._offset(row) - memory.ctypes.data) % PAGE // 2
        return memory[shift : shift + BLOCK * self.voxels].reshape(BLOCK, self.voxels)

    def write(self, row: int, volumes: NDArray[np.int16]) -> "Future[None]":
        """Begin to write volumes (T, V) to `row` and those behind it. Until it is done they must not change."""
        return self._writing.submit(self._write, row, volumes)

    def _write(self, row: int, volumes: NDArray[np.int16]) -> None:
        if self._compressed:
            self._volumes[row : row + len(volumes)] = volumes
        else:
            self._uncached.write(volumes.data.cast("B"), self._offset(row))

    def _offset(self, row: int) -> int:
        return self._begin + row * self.voxels * 2


def _make_volumes(file: h5py.File, total: int, voxels: int, compression: Compression) -> h5py.Dataset:
    if compression is Compression.NONE:
        # All at once, one behind the other, and not filled: without filters HDF5 needs no index of such chunks.
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_chunk((1, voxels))
        how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((total, voxels))
        return h5py.Dataset(h5py.h5d.create(file.id, b"volumes", h5py.h5t.STD_I16LE, space, how))
    try:
        import hdf5plugin
    except ImportError:
        raise UserError("--compression bitshuffle needs hdf5plugin: pip install 'deepemotion[compression]'") from None
    return file.create_dataset("volumes", (total, voxels), "<i2", chunks=(1, voxels), **hdf5plugin.Bitshuffle())
