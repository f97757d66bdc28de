"""The schema of the packed subject file: root attributes, arrays, and what the checksum covers."""

import hashlib
import json
from typing import Annotated, Any, Literal, Self

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from deepemotion.dataset.description import Segment
from deepemotion.subject_file.options import Compression, NanRule

FORMAT = "deepemotion.subject"
FORMAT_VERSION = 2
# Version 1 has one scale for each volume, whatever its type, and no checksum for each array.

# Programs write affines in single precision, some through a quaternion: mm.
AFFINE_TOLERANCE = 1e-3

Statistic = Literal["mean", "std", "trend"]
STATISTICS: tuple[Statistic, ...] = ("mean", "std", "trend")
# The arrays beside /volumes, which has a CRC-32 for each volume in `crc32`.
ARRAYS: dict[str, type[np.generic]] = {
    "crc32": np.uint32,
    "mask": np.bool_,
    "affine": np.float64,
    "run": np.int8,
    "index_in_run": np.int32,
    "movie_time": np.float64,
    "scale": np.float64,
    **{f"statistics/{name}": np.float32 for name in STATISTICS},
}
# In files with runs that need a scale for each voxel.
VOXEL_SCALE: dict[str, type[np.generic]] = {"voxel_scale/slope": np.float32, "voxel_scale/intercept": np.float64}


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Record):
    """An input file of a subject file, as it was on disk: size in bytes, and CRC-32 of those bytes."""

    name: str
    size: int
    mtime_ns: int
    crc32: int


class RunRecord(_Record):
    """The source of a run, and what packing did to it.

    `slope` and `intercept` are the NIfTI header's; `largest_error` is the largest difference, in physical units,
    between a source voxel and the stored one (0 where all values are stored exactly), and `largest_error_sd` the same
    in standard deviations of the voxel over the run; `not_finite` counts the voxels that were NaN or infinite and
    became zero; `constant_voxels` those inside the mask that never change; `header_tr` is the TR in seconds by the
    NIfTI header, None if that has none. Version 1 of the format lacks the last three.
    """

    run: int
    volumes: Annotated[int, Field(ge=2)]
    source: Source
    dtype: str
    slope: float
    intercept: float
    largest_error: float
    not_finite: int
    largest_error_sd: float | None = None
    constant_voxels: int | None = None
    header_tr: float | None = None


class Header(_Record):
    """The root attributes of a subject file. Lists and mappings are stored as JSON.

    `notes` are sentences about how packing interpreted the input files. `arrays` has the CRC-32 of each array's bytes.
    Both are empty in version 1 of the format.
    """

    format_version: int
    subject: str
    dataset: str
    tr: float
    segments: list[Segment]
    runs: Annotated[list[RunRecord], Field(min_length=1)]
    masks: list[Source]
    nan: NanRule
    compression: Compression
    versions: dict[str, str]
    created: str
    checksum: str
    arrays: dict[str, int] = {}
    notes: list[str] = []

    @classmethod
    def read(cls, file: h5py.File) -> Self:
        """Read and validate the root attributes. Raises pydantic.ValidationError, KeyError or ValueError."""
        names = [name for name, field in cls.model_fields.items() if field.is_required() or name in file.attrs]
        values = {name: file.attrs[name] for name in names}
        return cls.model_validate(
            {name: json.loads(v) if isinstance(v, str) and v[:1] in "[{" else v for name, v in values.items()}
        )

    def write(self, file: h5py.File) -> None:
        """Write the root attributes."""
        file.attrs["format"] = FORMAT
        for name, value in self.model_dump(mode="json").items():
            file.attrs[name] = json.dumps(value) if isinstance(value, list | dict) else value


def content_checksum(header: Header) -> str:
    """Return the SHA-256 of the content of a subject file of version 2, through the CRC-32 of each array.

    Equal content has an equal checksum, whenever and from wherever it was packed.
    """
    content = json.dumps(_identity(header) | {"arrays": header.arrays}, sort_keys=True)
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def content_checksum_of_version_1(header: Header, arrays: dict[str, NDArray[np.generic]]) -> str:
    """Return the SHA-256 of the content of a subject file of version 1; `arrays` are those of `ARRAYS`."""
    digest = hashlib.sha256(json.dumps(_identity(header), sort_keys=True).encode())
    for name in ARRAYS:
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.data)
    return f"sha256:{digest.hexdigest()}"


def _identity(header: Header) -> dict[str, Any]:
    content = header.model_dump(mode="json", include={"format_version", "subject", "dataset", "tr", "segments"})
    return content | {"runs": [(run.run, run.volumes) for run in header.runs]}
