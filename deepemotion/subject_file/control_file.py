"""The controls of a packed subject, controls_sub-XX.h5 beside its subject file: what it holds, reader and writer."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import h5py
import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from deepemotion.errors import UserError
from deepemotion.files import atomic_path
from deepemotion.subject_file.control_series import EventSeries, Series, VolumeSeries
from deepemotion.subject_file.format import Source
from deepemotion.subject_file.opening import HDF5_ERRORS, NotASubjectFileError
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.unfinished import lock, remove_abandoned

_FORMAT, _FORMAT_VERSION = "deepemotion.controls", 1
_ARRAYS: dict[str, dict[str, type[np.generic]]] = {
    "volumes": {"values": np.float32},
    "events": {"run": np.int16, "onset": np.float64, "duration": np.float64, "values": np.float32},
}


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PackedSource(_Record):
    """A source of the dataset's description, and its files as they were on disk."""

    control: str
    kind: str
    file: str
    columns: list[str] | None
    files: list[Source]


class _Part(_Record):
    """One series of a control; `arrays` has the CRC-32 of each array's bytes."""

    kind: Literal["volumes", "events"]
    columns: tuple[str, ...]
    categorical: int
    arrays: dict[str, int]


class ControlHeader(_Record):
    """What a control file is of: the subject's file by its `packed` checksum, and the number of volumes of each run.

    `notes` say how sources were reduced.
    """

    subject: str
    dataset: str
    tr: float
    packed: str
    volumes: dict[int, int]
    sources: list[PackedSource]
    notes: list[str]
    controls: dict[str, list[_Part]] = {}


class ControlFile:
    """An open control file; a context manager. Raises UserError if it is missing, damaged or of a newer format."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise UserError(f"{path}: no such file; pack the subject again")
        self._size = path.stat().st_size
        try:
            self._file = h5py.File(path, "r", locking=False)
        except OSError as error:
            if "truncated" in str(error):
                raise UserError(f"{path}: truncated; pack the subject again") from error
            raise NotASubjectFileError(
                f"{path}: not a file of controls, or damaged; delete it and pack the subject again"
            ) from error
        try:
            self.header = self._read_header()
        except BaseException:
            self._file.close()
            raise

    @classmethod
    def of(cls, file: SubjectFile) -> Self:
        """Open the controls of a packed subject. Raises UserError also if they are of another packing."""
        controls = cls(control_path(file.path.parent, file.subject))
        if (controls.header.subject, controls.header.packed) != (file.subject, file.checksum):
            controls.close()
            raise UserError(f"{controls.path}: made from another {file.path.name}; pack the subject again")
        return controls

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Series that were read before stay usable."""
        self._file.close()

    def checksum(self, control: str) -> str:
        """Return the SHA-256 of a control's content, in hex. Raises UserError if the subject has no such control."""
        header = self.header
        parts = [part.model_dump(mode="json") for part in self._parts(control)]
        content = {"control": control, "tr": header.tr, "volumes": list(header.volumes.items()), "parts": parts}
        return f"sha256:{hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}"

    def series(self, control: str) -> list[Series]:
        """Return the series of a control. Raises UserError if the subject has none, and if the file is damaged."""
        return [self._series(f"{control}/{i}", part) for i, part in enumerate(self._parts(control))]

    def _parts(self, control: str) -> list[_Part]:
        if control not in self.header.controls:
            raise UserError(
                f"sub-{self.header.subject}: no control {control} in {self.path}; name its files in the dataset's"
                " description (controls) and pack again"
            )
        return self.header.controls[control]

    def _series(self, group: str, part: _Part) -> Series:
        arrays: dict[str, Any] = {name: self._array(f"{group}/{name}", crc) for name, crc in part.arrays.items()}
        if part.kind == "volumes":
            return VolumeSeries(part.columns, **arrays)
        return EventSeries(part.columns, part.categorical, **arrays)

    def _array(self, name: str, crc32: int) -> NDArray[Any]:
        try:
            dataset = self._file[name]
            # Before memory is allocated for it: a damaged file may declare any size.
            if dataset.size * dataset.dtype.itemsize > self._size:
                raise self._damaged(f"/{name} is larger than the file")
            stored: NDArray[Any] = np.ascontiguousarray(dataset[()])
        except HDF5_ERRORS as error:
            raise self._damaged(f"/{name} cannot be read") from error
        if isal_zlib.crc32(stored) != crc32:
            raise self._damaged(f"/{name} is not what was packed")
        return stored

    def _read_header(self) -> ControlHeader:
        try:
            if self._file.attrs.get("format") != _FORMAT:
                raise NotASubjectFileError(f"{self.path}: an HDF5 file, but not one of controls; move it elsewhere")
            version, text = int(self._file.attrs["format_version"]), str(self._file.attrs["header"])
            intact = hashlib.sha256(text.encode()).hexdigest() == self._file.attrs["checksum"]
        except HDF5_ERRORS as error:
            raise self._damaged("its attributes cannot be read") from error
        if version > _FORMAT_VERSION:
            raise NotASubjectFileError(
                f"{self.path}: format version {version}, but this program reads up to {_FORMAT_VERSION}; update"
                " deepemotion"
            )
        if not intact:
            raise self._damaged("its attributes are not those that were packed")
        return ControlHeader.model_validate_json(text)

    def _damaged(self, problem: str) -> UserError:
        return UserError(f"{self.path}: {problem}: damaged; pack the subject again")


def is_control_file(path: Path) -> bool:
    """Return whether a file says that it holds controls, whatever it is called."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return bool(file.attrs.get("format") == _FORMAT)
    except HDF5_ERRORS:
        return False


def control_path(folder: Path, subject: str) -> Path:
    """Return the path of the controls of `subject` in `folder`."""
    return folder / f"controls_sub-{subject}.h5"


def write_control_file(path: Path, header: ControlHeader, controls: Mapping[str, Sequence[Series]]) -> None:
    """Write the series of each control atomically; their records are added to the header. Raises UserError."""
    records, content = {}, io.BytesIO()
    with h5py.File(content, "w", libver="v110") as file:
        for control, series in controls.items():
            _create_group(file, control)
            records[control] = [_write(file, f"{control}/{i}", one) for i, one in enumerate(series)]
        text = header.model_copy(update={"controls": records}).model_dump_json()
        file.attrs["format"], file.attrs["format_version"] = _FORMAT, _FORMAT_VERSION
        file.attrs["header"], file.attrs["checksum"] = text, hashlib.sha256(text.encode()).hexdigest()
    remove_abandoned(path)
    with ExitStack() as held, atomic_path(path) as temporary:
        # Until after the renaming, so that no other process takes the file for an abandoned one.
        lock(held.enter_context(temporary.open("rb")))
        temporary.write_bytes(content.getbuffer())


def _create_group(file: h5py.File, name: str) -> None:
    """Create a group without the time at which it was, so that equal content gives equal bytes."""
    properties = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    properties.set_obj_track_times(False)
    h5py.h5g.create(file.id, name.encode(), gcpl=properties)


def _write(file: h5py.File, group: str, series: Series) -> _Part:
    kind: Literal["volumes", "events"] = "volumes" if isinstance(series, VolumeSeries) else "events"
    arrays = {name: np.ascontiguousarray(getattr(series, name), dtype) for name, dtype in _ARRAYS[kind].items()}
    _create_group(file, group)
    for name, array in arrays.items():
        file[f"{group}/{name}"] = array
    return _Part(
        kind=kind,
        columns=series.columns,
        categorical=series.categorical if isinstance(series, EventSeries) else 0,
        arrays={name: isal_zlib.crc32(array) for name, array in arrays.items()},
    )
