"""The schema of the packed subject file: its root attributes, and what its checksum covers."""

import hashlib
import json
from typing import Annotated, Literal, Self

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from deepemotion.dataset import Segment
from deepemotion.subject_file.options import Compression, NanRule

FORMAT = "deepemotion.subject"
FORMAT_VERSION = 1

# Programs write affines in single precision, some through a quaternion: mm.
AFFINE_TOLERANCE = 1e-3

Statistic = Literal["mean", "std", "trend"]
STATISTICS: tuple[Statistic, ...] = ("mean", "std", "trend")
# What the content checksum covers, in this order. The volumes are in it through the CRC-32 of each.
CHECKED: dict[str, type[np.generic]] = {
    "crc32": np.uint32,
    "mask": np.bool_,
    "affine": np.float64,
    "run": np.int8,
    "index_in_run": np.int32,
    "movie_time": np.float64,
    "scale": np.float64,
    **{f"statistics/{name}": np.float32 for name in STATISTICS},
}


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Record):
    """A file that went into a subject file, as it lay on disk: size in bytes, CRC-32 of those bytes."""

    name: str
    size: int
    mtime_ns: int
    crc32: int


class RunRecord(_Record):
    """Where a run came from and what packing did to it.

    `slope` and `intercept` are the NIfTI header's; `largest_error` is the largest difference, in physical units,
    between a source voxel and the stored one (0 where the source is integer and fits); `not_finite` counts the voxels
    that were NaN or infinite and became zero.
    """

    run: int
    volumes: Annotated[int, Field(ge=2)]
    source: Source
    dtype: str
    slope: float
    intercept: float
    largest_error: float
    not_finite: int


class Header(_Record):
    """The root attributes of a subject file. Lists and mappings are stored as JSON."""

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

    @classmethod
    def read(cls, file: h5py.File) -> Self:
        """Read and validate the root attributes. Raises pydantic.ValidationError, KeyError or ValueError."""
        values = {name: file.attrs[name] for name in cls.model_fields}
        return cls.model_validate(
            {name: json.loads(v) if isinstance(v, str) and v[:1] in "[{" else v for name, v in values.items()}
        )

    def write(self, file: h5py.File) -> None:
        """Write the root attributes."""
        file.attrs["format"] = FORMAT
        for name, value in self.model_dump(mode="json").items():
            file.attrs[name] = json.dumps(value) if isinstance(value, list | dict) else value


def content_checksum(header: Header, arrays: dict[str, NDArray[np.generic]]) -> str:
    """Return the SHA-256 of what a subject file says, `arrays` being those of `CHECKED`.

    It is equal for equal content, whenever and from wherever that was packed.
    """
    digest = hashlib.sha256()
    said = header.model_dump(mode="json", include={"format_version", "subject", "dataset", "tr", "segments"})
    said["runs"] = [(run.run, run.volumes) for run in header.runs]
    digest.update(json.dumps(said, sort_keys=True).encode())
    for name in CHECKED:
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.data)
    return f"sha256:{digest.hexdigest()}"
