"""The packed subject file `sub-XX.h5`: its reader. docs/subject-file.md describes the format."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import h5py
import numpy as np
import pydantic
from numpy.typing import NDArray

from deepemotion.errors import UserError, from_validation
from deepemotion.subject_file.format import FORMAT, FORMAT_VERSION, Header, Statistic
from deepemotion.subject_file.options import Compression

_Scalar = TypeVar("_Scalar", bound=np.generic)

# What h5py raises, depending on where it meets damage.
_HDF5_ERRORS = (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError)


class NotASubjectFileError(UserError):
    """The file is whole but none that this program wrote or can read, so nothing may replace it."""


class SubjectFile:
    """A packed subject: T volumes of the V voxels inside the mask, with R runs. Read-only; a context manager.

    Opening reads attributes only; each array is read when first asked for. Many processes may open one file at once.
    Raises UserError where the file is missing, truncated, not a subject file, or of a newer format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _open(path)
        try:
            self.header = _header(self._file, path)
            self._volumes: h5py.Dataset = self._file["volumes"]
            self.total, self.voxels = (int(size) for size in self._volumes.shape)
            x, y, z = self._file["mask"].shape
            self.shape: tuple[int, int, int] = (x, y, z)
            self.volumes_per_run = {run.run: run.volumes for run in self.header.runs}
            if self._volumes.dtype != np.dtype("<i2") or self._volumes.chunks != (1, self.voxels):
                raise UserError(f"{path}: /volumes must be int16 with one volume a chunk; pack the subject again")
            if self.total != sum(self.volumes_per_run.values()):
                raise UserError(f"{path}: its runs do not add up to {self.total} volumes; pack the subject again")
        except UserError:
            self._file.close()
            raise
        except _HDF5_ERRORS as error:
            self._file.close()
            raise UserError(f"{path}: damaged or incomplete; pack the subject again ({error})") from error
        self.subject = self.header.subject
        self.dataset_name = self.header.dataset
        self.tr = self.header.tr
        self.segments = self.header.segments
        self.checksum = self.header.checksum
        self.format_version = self.header.format_version

    @classmethod
    def of(cls, folder: Path, subject: str) -> Self:
        """Open a subject's packed file in `folder`. Raises UserError also where it holds another subject."""
        file = cls(subject_path(folder, subject))
        if file.subject != subject:
            file.close()
            raise UserError(f"{file.path}: holds sub-{file.subject}; pack sub-{subject} again")
        return file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Arrays that were read before stay usable."""
        self._file.close()

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """(X, Y, Z): True for the voxels that are stored, in the order of `mask.ravel(order="F")`."""
        return self.array("mask", np.bool_)

    @cached_property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4): voxel indices to mm."""
        return self.array("affine", np.float64)

    @cached_property
    def run(self) -> NDArray[np.int8]:
        """(T,): the run of each volume."""
        return self.array("run", np.int8)

    @cached_property
    def index_in_run(self) -> NDArray[np.int32]:
        """(T,): each volume's index in its run, from 0."""
        return self.array("index_in_run", np.int32)

    @cached_property
    def movie_time(self) -> NDArray[np.float64]:
        """(T,): the second of the movie at which each volume began to be acquired (true timing, no lag)."""
        return self.array("movie_time", np.float64)

    @cached_property
    def scale(self) -> NDArray[np.float64]:
        """(T, 2): slope and intercept of each volume; physical value = slope * stored value + intercept."""
        return self.array("scale", np.float64)

    @cached_property
    def crc32(self) -> NDArray[np.uint32]:
        """(T,): CRC-32 of each volume's stored values, as little-endian int16."""
        return self.array("crc32", np.uint32)

    @cached_property
    def chunk_offsets(self) -> NDArray[np.int64] | None:
        """(T,): where each volume's stored values begin in the file, in bytes; None where they are compressed."""
        if self.header.compression is not Compression.NONE:
            return None
        offset_T = np.full(self.total, -1, np.int64)

        def note(chunk: Any) -> None:
            offset_T[chunk.chunk_offset[0]] = chunk.byte_offset

        try:
            self._volumes.id.chunk_iter(note)
        except _HDF5_ERRORS as error:
            raise UserError(f"{self.path}: /volumes cannot be read: damaged; pack it again") from error
        if (offset_T < 0).any():
            raise UserError(f"{self.path}: volume {int(offset_T.argmin())} is missing: damaged; pack it again")
        return offset_T

    def statistics(self, name: Statistic) -> NDArray[np.float32]:
        """Return (R, V), one row a run in the order of `volumes_per_run`, in physical units.

        `std` is the population's (ddof 0); `trend` is the slope of the least-squares line, in units per volume.
        """
        return self.array(f"statistics/{name}", np.float32)

    def read(self, rows: NDArray[np.integer], out: NDArray[np.int16] | None = None) -> NDArray[np.int16]:
        """Read the stored values (n, V) of the volumes `rows` (n,), in that order, into `out` if it is given.

        `out` must be C-contiguous. Raises IndexError for a row outside 0..T-1, UserError where the file is damaged.
        """
        rows = np.asarray(rows)
        if rows.size and (rows.min() < 0 or rows.max() >= self.total):
            raise IndexError(f"{self.path}: rows must lie in 0..{self.total - 1}")
        if out is None:
            out = np.empty((len(rows), self.voxels), dtype=np.int16)
        elif out.shape != (len(rows), self.voxels) or out.dtype != np.int16 or not out.flags.c_contiguous:
            raise ValueError(f"out must be C-contiguous int16 of shape {(len(rows), self.voxels)}")
        try:
            # A list of rows as an HDF5 selection is a hundred times slower than one chunk after the other.
            for i, row in enumerate(rows.tolist()):
                if self.header.compression is Compression.NONE:
                    self._volumes.id.read_direct_chunk((row, 0), out=out[i].view(np.uint8))
                else:
                    self._volumes.read_direct(out, np.s_[row], np.s_[i])
        except _HDF5_ERRORS as error:
            raise UserError(f"{self.path}: volume {row} cannot be read: damaged; pack it again") from error
        return out

    def array(self, name: str, dtype: type[_Scalar]) -> NDArray[_Scalar]:
        """Return a whole dataset of the file. Raises UserError where it is missing or damaged."""
        try:
            stored: NDArray[_Scalar] = self._file[name].astype(dtype)[()]
        except _HDF5_ERRORS as error:
            raise UserError(f"{self.path}: /{name} cannot be read: damaged; pack it again") from error
        return stored


class OpenSubjects(dict[str, SubjectFile]):
    """Open subject files by subject; a context manager that closes them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files, and forget them with what they hold in memory."""
        while self:
            self.popitem()[1].close()


def open_subjects(folder: Path, subjects: Iterable[str]) -> OpenSubjects:
    """Open the packed files of several subjects in `folder`. Raises UserError as `SubjectFile.of` does."""
    files = OpenSubjects()
    try:
        for subject in subjects:
            files[subject] = SubjectFile.of(folder, subject)
    except BaseException:
        files.close()
        raise
    return files


def subject_path(folder: Path, subject: str) -> Path:
    """Return where the packed file of `subject` lies in `folder`."""
    return folder / f"sub-{subject}.h5"


def find_subjects(folder: Path) -> dict[str, Path]:
    """Return subject label -> packed file, sorted. Raises UserError where the folder is missing or holds none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; make it with: deepemotion pack DATASET --out {folder}")
    found = {path.stem.removeprefix("sub-"): path for path in sorted(folder.glob("sub-*.h5"))}
    if not found:
        raise UserError(
            f"{folder}: holds no packed subject (sub-XX.h5); fill it with: deepemotion pack DATASET --out {folder}"
        )
    return found


def _open(path: Path) -> h5py.File:
    if not path.exists():
        raise UserError(f"{path}: no such file")
    try:
        # Locks fail on many shared file systems; nobody writes in place, so readers need none.
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "truncated" in str(error):
            raise UserError(f"{path}: truncated; delete it and pack the subject again") from error
        if isinstance(error, PermissionError):
            raise UserError(f"{path}: cannot read: {error.strerror}") from error
        raise NotASubjectFileError(f"{path}: not an HDF5 file, so no packed subject") from error


def _header(file: h5py.File, path: Path) -> Header:
    if file.attrs.get("format") != FORMAT:
        raise NotASubjectFileError(
            f"{path}: an HDF5 file, but no packed subject (its attribute `format` is not {FORMAT!r})"
        )
    if (version := int(file.attrs["format_version"])) > FORMAT_VERSION:
        raise NotASubjectFileError(
            f"{path}: format version {version}, this program reads up to {FORMAT_VERSION}; update deepemotion"
        )
    try:
        header = Header.read(file)
    except pydantic.ValidationError as error:
        raise from_validation(error, path, Header) from error
    if header.compression is Compression.BITSHUFFLE:
        try:
            import hdf5plugin  # noqa: F401  (importing it registers the filter)
        except ImportError as error:
            raise UserError(f"{path}: compressed with bitshuffle; pip install 'deepemotion[compression]'") from error
    return header
