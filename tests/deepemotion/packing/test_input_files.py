"""Input files are known by their content: compressed in several ways, or mere pointers to what is elsewhere."""

import bz2
import gzip
import lzma
import struct
from pathlib import Path

import numpy as np
import pytest
from nifti_dataset import SHAPE, SmallDataset, bold, masked, nifti_bytes, physical, write

from deepemotion.errors import UserError
from deepemotion.packing.input_file import file_crc32
from deepemotion.packing.nifti import VolumeStream, read_header

NOISE = np.random.default_rng(0).integers(-(2**15), 2**15, (*SHAPE, 9), dtype="<i2")


def read_all(path: Path) -> np.ndarray:
    header = read_header(path)
    return np.stack([volume.reshape(header.shape, order="F") for volume in VolumeStream(header)], axis=-1)


def patched(data: np.ndarray, at: int, kind: str, *values: float) -> bytes:
    content = bytearray(nifti_bytes(data))
    struct.pack_into(f"<{kind}", content, at, *values)
    return bytes(content)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress])
@pytest.mark.parametrize("name", ["run.nii", "run.nii.gz", "run.NII.GZ", "run.nii.bz2", "run.Nii.BZ2"])
@pytest.mark.parametrize("data", [NOISE, bold(9, dtype=">f4")], ids=["noise", "float"])
def test_content_decides_whatever_the_name(tmp_path: Path, compress: object, name: str, data: np.ndarray) -> None:
    path = tmp_path / name
    path.write_bytes(compress(nifti_bytes(data)))  # type: ignore[operator]
    np.testing.assert_array_equal(read_all(path), data)
    stream = VolumeStream(read_header(path))
    assert len(list(stream)) == 9
    assert stream.crc32 == file_crc32(path)


@pytest.mark.parametrize("after", [b"note", b"x" * 100, b"\0\0 end"])
def test_bytes_after_the_end_of_a_gzip_file_are_ignored_as_gunzip_does(tmp_path: Path, after: bytes) -> None:
    path = tmp_path / "run.nii.gz"
    whole = gzip.compress(nifti_bytes(NOISE))
    path.write_bytes(whole + after)
    np.testing.assert_array_equal(read_all(path), NOISE)
    stream = VolumeStream(read_header(path))
    assert len(list(stream)) == 9
    assert stream.crc32 == file_crc32(path)
    path.write_bytes(whole[:-8] + bytes(8) + after)
    with pytest.raises(UserError, match=r"run\.nii\.gz: (corrupt|truncated) after .*; fetch it again"):
        read_all(path)


@pytest.mark.parametrize("suffix", [".NII.GZ", ".nii.bz2"])
def test_a_dataset_of_such_files_is_packed(tmp_path: Path, suffix: str) -> None:
    small = SmallDataset(tmp_path, runs=1, suffix=suffix)
    compress = bz2.compress if suffix.endswith("bz2") else gzip.compress
    small.run_path(1).write_bytes(compress(nifti_bytes(bold(20))))
    small.pack()
    np.testing.assert_array_equal(physical(small.packed), masked(bold(20)))
    assert small.pack().read == []


@pytest.mark.parametrize("length", [3, 40, 400, 0.5, 0.9, -1])
def test_a_truncated_bz2_is_never_read_as_whole(tmp_path: Path, length: float) -> None:
    whole = bz2.compress(nifti_bytes(NOISE))
    path = tmp_path / "run.nii.bz2"
    path.write_bytes(whole[: int(length * len(whole)) if 0 < length < 1 else int(length)])
    with pytest.raises(UserError, match=r"run\.nii\.bz2: .*truncated") as raised:
        read_all(path)
    assert "\n" not in str(raised.value)


def test_a_corrupt_bz2_is_never_read_as_whole(tmp_path: Path) -> None:
    whole = bytearray(bz2.compress(nifti_bytes(NOISE)))
    whole[len(whole) // 2] ^= 1
    path = tmp_path / "run.nii.bz2"
    path.write_bytes(whole)
    with pytest.raises(UserError, match=r"run\.nii\.bz2: corrupt"):
        read_all(path)


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"\x28\xb5\x2f\xfd" + bytes(100), r"Zstandard, which is not supported; decompress it \(zstd -d run\.nii\.zst"),
        (lzma.compress(nifti_bytes(NOISE)), r"xz, which is not supported; decompress it \(xz -d "),
        (b"PK\x03\x04" + bytes(100), r"zip, which is not supported; decompress it \(unzip "),
        (
            b"/annex/objects/MD5E-s49187301--0123.nii.gz\n",
            r"not here \(a git-annex pointer\).* && datalad get run\.nii",
        ),
        (b"version https://git-lfs.github.com/spec/v1\n", r"not here \(a Git LFS pointer\).* && git lfs pull"),
        (b"", "truncated before the end of its header"),
    ],
    ids=["zst", "xz", "zip", "annex", "lfs", "empty"],
)
def test_what_cannot_be_read_says_what_to_do(tmp_path: Path, content: bytes, advice: str) -> None:
    path = tmp_path / "run.nii.zst"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"run\.nii\.zst: .*{advice}") as raised:
        read_header(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("at", "kind", "values"),
    [
        (40, "h", (0,)),
        (40, "h", (-4,)),
        (40, "h", (9,)),
        (46, "h", (-3,)),
        (46, "h", (0,)),
        (48, "h", (-1,)),
        (70, "h", (999,)),
        (108, "f", (float("inf"),)),
        (108, "f", (float("-inf"),)),
        (108, "f", (float("nan"),)),
        (108, "f", (-352.0,)),
        (108, "f", (100.0,)),
        (108, "f", (352.5,)),
        (116, "f", (float("inf"),)),
        (280, "f", (float("nan"),)),
        (304, "f", (float("inf"),)),
        (344, "4s", (b"n-1\0",)),
        (344, "4s", (b"ni1\0",)),
    ],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_damaged_header_ends_in_one_line(
    tmp_path: Path, at: int, kind: str, values: tuple[float, ...], suffix: str
) -> None:
    path = write(tmp_path / f"run{suffix}", patched(bold(4), at, kind, *values))
    with pytest.raises(UserError, match=r"run\.nii.*: ") as raised:
        read_all(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nii.bz2"])
@pytest.mark.parametrize("offset", [1e6, 1e12, 1e18])
def test_voxels_that_begin_beyond_the_file(tmp_path: Path, offset: float, suffix: str) -> None:
    content = patched(bold(4), 108, "f", offset)
    path = tmp_path / f"run{suffix}"
    path.write_bytes({".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)(content))
    with pytest.raises(UserError, match=r"truncated after 0 of 4|more than its file can hold"):
        read_all(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nii.bz2"])
def test_sizes_beyond_any_memory_are_refused_before_memory_is_asked_for(tmp_path: Path, suffix: str) -> None:
    content = patched(bold(4), 42, "3h", 32767, 32767, 32767)
    path = tmp_path / f"run{suffix}"
    path.write_bytes({".gz": gzip.compress, ".bz2": bz2.compress}.get(path.suffix, bytes)(content))
    with pytest.raises(UserError, match=r"truncated after 0 of 4 volumes|32767 x 32767 x 32767 x 4 voxels, more than"):
        read_header(path)


@pytest.mark.parametrize("version", [1, 2])
def test_an_offset_of_0_means_right_behind_the_header(tmp_path: Path, version: int) -> None:
    content = bytearray(nifti_bytes(NOISE, version=version))
    struct.pack_into("<f" if version == 1 else "<q", content, 108 if version == 1 else 168, 0)
    path = write(tmp_path / "run.nii.gz", bytes(content))
    np.testing.assert_array_equal(read_all(path), NOISE)


def test_room_between_header_and_voxels_is_skipped(tmp_path: Path) -> None:
    extension = np.array([32, 6], "<i4").tobytes() + b"a comment".ljust(24, b"\0")
    content = nifti_bytes(NOISE, extension=extension.ljust(4096 - 352, b"\0"))
    path = write(tmp_path / "run.nii.gz", content)
    assert read_header(path).offset == 4096
    np.testing.assert_array_equal(read_all(path), NOISE)


@pytest.mark.parametrize("shape", [(*SHAPE, 1, 9), (*SHAPE, 9, 1), (*SHAPE, 9, 1, 1), (*SHAPE, 1, 1, 9)])
def test_axes_of_length_1_are_ignored(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = write(tmp_path / "run.nii", nifti_bytes(NOISE.reshape(shape)))
    np.testing.assert_array_equal(read_all(path), NOISE)
    assert read_header(write(tmp_path / "one.nii", nifti_bytes(NOISE[..., :1, None]))).volumes == 1
