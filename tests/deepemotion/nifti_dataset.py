"""Small datasets on disk, written byte by byte so that a test decides the type, byte order and scale."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import yaml
from isal import isal_zlib
from numpy.typing import NDArray

from deepemotion.dataset.description import Dataset
from deepemotion.packing.subject import Packed, PackRequest, pack_subject
from deepemotion.subject_file.format import Header, content_checksum
from deepemotion.subject_file.options import Compression, NanRule
from deepemotion.subject_file.reader import SubjectFile

SHAPE = (5, 4, 3)
AFFINE = np.diag([1.2, 1.2, 1.2, 1.0])


def nifti_bytes(
    data: NDArray[Any],
    slope: float = 1.0,
    intercept: float = 0.0,
    affine: NDArray[np.float64] = AFFINE,
    extension: bytes = b"",
    version: int = 1,
) -> bytes:
    """Return a NIfTI file whose voxels are `data` as they are."""
    header_class = nibabel.Nifti1Header if version == 1 else nibabel.Nifti2Header
    header = header_class(endianness="big" if data.dtype.byteorder == ">" else "little")
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header.set_sform(affine, code=2)
    header["scl_slope"], header["scl_inter"] = slope, intercept
    header["magic"] = b"n+1" if version == 1 else b"n+2"
    before = header.structarr.dtype.itemsize + 4
    header["vox_offset"] = before + len(extension)
    flag = b"\1\0\0\0" if extension else b"\0\0\0\0"
    return bytes(header.binaryblock) + flag + extension + data.tobytes(order="F")


def write(path: Path, content: bytes) -> Path:
    """Write a file, compressed if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def bold(volumes: int, seed: int = 0, dtype: str = "<i2") -> NDArray[Any]:
    """Return (X, Y, Z, T) of noise around 1000."""
    return np.random.default_rng(seed).normal(1000, 50, (*SHAPE, volumes)).astype(dtype)


def half_mask() -> NDArray[np.bool_]:
    """Return a mask (X, Y, Z) that is no block, so that a wrong voxel order shows."""
    return np.random.default_rng(7).random(SHAPE) < 0.5


@dataclass
class SmallDataset:
    """Runs of one TR a second, 20 seconds each, for any number of subjects."""

    root: Path
    runs: int = 2
    subjects: list[str] = field(default_factory=lambda: ["01"])
    mask: bool = True
    suffix: str = ".nii.gz"

    def __post_init__(self) -> None:
        if self.mask:
            write(self.root / "mask.nii.gz", nifti_bytes(half_mask().astype(np.uint8)))
        for subject in self.subjects:
            for run in range(1, self.runs + 1):
                self.write_run(run, bold(20, seed=run), subject=subject)
        self.describe()

    def describe(self) -> None:
        """Write dataset.yaml."""
        description = {
            "name": "small",
            "tr": 1.0,
            "subjects": self.subjects,
            "segments": [{"run": run, "start": 18 * (run - 1), "end": 18 * run + 2} for run in range(1, self.runs + 1)],
            "files": {"bold": "sub-{subject}_run-{run}_bold" + self.suffix}
            | ({"mask": "mask.nii.gz"} if self.mask else {}),
        }
        (self.root / "dataset.yaml").write_text(yaml.safe_dump(description))

    def run_path(self, run: int, subject: str = "01") -> Path:
        return self.root / f"sub-{subject}_run-{run}_bold{self.suffix}"

    def write_run(self, run: int, data: NDArray[Any], subject: str = "01", **header: Any) -> Path:
        return write(self.run_path(run, subject), nifti_bytes(data, **header))

    @property
    def out(self) -> Path:
        return self.root / "packed"

    @property
    def packed(self) -> Path:
        return self.out / "sub-01.h5"

    @property
    def controls(self) -> Path:
        return self.out / "controls_sub-01.h5"

    def pack(
        self,
        subject: str = "01",
        nan: NanRule = NanRule.FAIL,
        compression: Compression = Compression.NONE,
        threads: int | None = None,
    ) -> Packed:
        dataset = Dataset.of_folder(self.root)
        return pack_subject(PackRequest(dataset, self.root, subject, self.out, nan, compression, threads))


def physical(path: Path) -> np.ndarray:
    """Return (T, V) in physical units."""
    with SubjectFile(path) as file:
        return file.physical(np.arange(file.total))


def masked(data: np.ndarray) -> np.ndarray:
    """Return the voxels (T, V) of a run (X, Y, Z, T) that lie in `half_mask`."""
    return data.reshape(-1, data.shape[-1], order="F").T[:, half_mask().ravel(order="F")]


@contextmanager
def edited(path: Path) -> Iterator[h5py.File]:
    """Give a packed file to change, and make its checksums those of what it holds then: as if it was packed so."""
    with h5py.File(path, "r+") as file:
        yield file
        header = Header.read(file)
        arrays = {name: isal_zlib.crc32(np.ascontiguousarray(file[name][()])) for name in header.arrays}
        header = header.model_copy(update={"arrays": arrays})
        header.model_copy(update={"checksum": content_checksum(header)}).write(file)
