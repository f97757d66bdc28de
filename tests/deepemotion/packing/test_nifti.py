"""Volumes come out of .nii and .nii.gz as they were written; damage is told in one line."""

import gzip
import itertools
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nifti_dataset import AFFINE, bold, nifti_bytes, write

from deepemotion.errors import UserError
from deepemotion.packing.input_file import file_crc32
from deepemotion.packing.nifti import VolumeStream, read_header

TYPES = ["<i2", ">i2", "i1", "u1", "<u2", ">u2", "<i4", ">i4", "<f4", ">f4", "<f8", ">f8"]


def read_all(path: Path) -> np.ndarray:
    header = read_header(path)
    return np.stack([volume.reshape(header.shape, order="F") for volume in VolumeStream(header)], axis=-1)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_every_type_and_byte_order(tmp_path: Path, dtype: str, suffix: str) -> None:
    data = bold(7, dtype=dtype) if np.dtype(dtype).itemsize > 1 else bold(7).astype(dtype)
    path = write(tmp_path / f"run{suffix}", nifti_bytes(data, slope=0.5, intercept=3))
    header = read_header(path)
    assert (header.volumes, header.dtype) == (7, np.dtype(dtype))
    assert (header.slope, header.intercept) == (0.5, 3)
    np.testing.assert_allclose(header.affine, AFFINE, rtol=1e-6)
    np.testing.assert_array_equal(read_all(path), data)


def test_nifti_2_and_header_extensions(tmp_path: Path) -> None:
    extension = np.array([32, 6], "<i4").tobytes() + b"a comment".ljust(24, b"\0")
    for version, extra in ((1, extension), (2, b""), (2, extension)):
        path = write(tmp_path / "run.nii.gz", nifti_bytes(bold(3), extension=extra, version=version))
        np.testing.assert_array_equal(read_all(path), bold(3))


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 5 * 4 * 3 * 2 * 6 + 352), max_size=4), volumes=st.integers(1, 6))
def test_gzip_of_several_members(tmp_path_factory: pytest.TempPathFactory, cuts: list[int], volumes: int) -> None:
    content = nifti_bytes(bold(volumes))
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    path = tmp_path_factory.mktemp("members") / "run.nii.gz"
    path.write_bytes(b"".join(gzip.compress(content[a:b]) for a, b in itertools.pairwise(edges)))
    np.testing.assert_array_equal(read_all(path), bold(volumes))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_checksum_is_that_of_the_whole_file(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"run{suffix}", nifti_bytes(bold(5)) + b"bytes behind the last volume")
    stream = VolumeStream(read_header(path))
    assert len(list(stream)) == 5
    assert stream.crc32 == file_crc32(path) == zlib.crc32(path.read_bytes())


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_truncated_anywhere(tmp_path: Path, suffix: str) -> None:
    whole = write(tmp_path / f"run{suffix}", nifti_bytes(bold(5))).read_bytes()
    path = tmp_path / f"cut{suffix}"
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"cut\.nii.*(truncated|not a NIfTI)") as raised:
            read_all(path)
        assert "\n" not in str(raised.value)


def test_truncated_tells_how_far_it_came(tmp_path: Path) -> None:
    path = write(tmp_path / "run.nii", nifti_bytes(bold(5))[:-1])
    with pytest.raises(UserError, match="truncated after 4 of 5 volumes"):
        read_all(path)


def test_a_flipped_byte_never_changes_a_voxel_unnoticed(tmp_path: Path) -> None:
    whole = write(tmp_path / "run.nii.gz", nifti_bytes(bold(5))).read_bytes()
    path = tmp_path / "flipped.nii.gz"
    noticed = 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        try:
            read = read_all(path)
        except UserError:
            noticed += 1
        else:
            # Time and system in gzip's header mean nothing, nor do a few bits of its code tables.
            np.testing.assert_array_equal(read, bold(5))
    assert noticed > 0.95 * len(whole)


def test_stopping_early_leaves_nothing_running(tmp_path: Path) -> None:
    path = write(tmp_path / "run.nii.gz", nifti_bytes(bold(20)))
    for volume in VolumeStream(read_header(path)):
        assert volume.shape == (60,)
        break


@pytest.mark.parametrize("content", [b"", b"x", b"plain text\n" * 50, bytes(400)])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".txt"])
def test_not_nifti(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"run{suffix}"
    for stored in (content, gzip.compress(content)):
        path.write_bytes(stored)
        with pytest.raises(UserError, match=r"run\.(nii|txt)"):
            read_header(path)


def test_missing_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read_header(tmp_path / "none.nii.gz")
    (tmp_path / "folder.nii.gz").mkdir()
    with pytest.raises(UserError, match=r"folder\.nii\.gz"):
        read_header(tmp_path / "folder.nii.gz")


def test_complex_and_five_dimensions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="complex64"):
        read_header(write(tmp_path / "complex.nii", nifti_bytes(bold(2).astype("<c8"))))
    with pytest.raises(UserError, match="5 dimensions"):
        read_header(write(tmp_path / "five.nii", nifti_bytes(bold(4).reshape(5, 4, 3, 2, 2))))
