"""A mask file marks the voxels that its maker meant, and files without an affine are not taken for another space."""

from pathlib import Path

import numpy as np
import pytest
from nifti_dataset import AFFINE, SHAPE, SmallDataset, bold, half_mask, nifti_bytes, write
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.subject_file import summary
from deepemotion.subject_file.reader import SubjectFile

RNG = np.random.default_rng(3)
INSIDE = half_mask()
NOISE = RNG.normal(0, 5e-15, SHAPE)
EDGES = np.where(INSIDE, RNG.uniform(0.51, 1, SHAPE), RNG.uniform(0, 0.5, SHAPE))


def packed_mask(small: SmallDataset) -> NDArray[np.bool_]:
    small.pack()
    with SubjectFile(small.packed) as file:
        return file.mask


@pytest.mark.parametrize(
    "mask",
    [
        INSIDE.astype("u1"),
        (255 * INSIDE).astype("u1"),
        (0.25 * INSIDE).astype("<f4"),
        (1000.0 * INSIDE).astype("<f8"),
        np.where(INSIDE, 1, np.nan).astype("<f4"),
        (RNG.integers(1, 9, SHAPE) * INSIDE).astype("<i2"),
        np.where(INSIDE, 1, -1).astype("<i2"),
    ],
    ids=["1", "255", "0.25", "1000", "NaN outside", "labels", "-1 outside"],
)
def test_a_mask_of_one_value_or_of_labels_has_all_voxels_above_0(tmp_path: Path, mask: NDArray[np.generic]) -> None:
    small = SmallDataset(tmp_path)
    write(tmp_path / "mask.nii.gz", nifti_bytes(mask))
    np.testing.assert_array_equal(packed_mask(small), INSIDE)
    assert small.pack().header.notes == []


@pytest.mark.parametrize(
    ("mask", "slope"),
    [
        ((INSIDE + NOISE).astype("<f8"), 1.0),
        ((INSIDE + NOISE).astype("<f4"), 1.0),
        (EDGES.astype("<f4"), 1.0),
        (np.where(INSIDE, 1.08, -0.09) * (1 + 1e-3 * RNG.random(SHAPE)), 1.0),
        (np.rint(255 * EDGES).astype("u1"), 1 / 255),
        (np.where(RNG.random(SHAPE) < 0.1, np.nan, EDGES) * INSIDE + 0.01, 1.0),
    ],
    ids=["noise", "noise in float32", "edges", "ringing", "scaled", "NaN"],
)
def test_a_mask_that_was_interpolated_is_cut_at_one_half(
    tmp_path: Path, mask: NDArray[np.generic], slope: float
) -> None:
    small = SmallDataset(tmp_path)
    write(tmp_path / "mask.nii.gz", nifti_bytes(mask, slope=slope))
    expected = np.nan_to_num(mask.astype(np.float64)) * slope > 0.5
    np.testing.assert_array_equal(packed_mask(small), expected)
    said = summary.notes(small.pack().header)
    assert said == ["sub-01: mask.nii.gz has values between 0 and 1: voxels above 0.5 are inside the mask"]


@pytest.mark.parametrize("mask", [100 * EDGES, 1000 * INSIDE + 300 * EDGES], ids=["percent", "brain"])
def test_other_values_are_no_mask(tmp_path: Path, mask: NDArray[np.float64]) -> None:
    small = SmallDataset(tmp_path)
    write(tmp_path / "mask.nii.gz", nifti_bytes(mask))
    with pytest.raises(UserError, match=r"mask\.nii\.gz: its values, .* are neither .* binarise it"):
        small.pack()


def test_a_mask_of_noise_alone_has_no_voxel(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    write(tmp_path / "mask.nii.gz", nifti_bytes(NOISE))
    with pytest.raises(UserError, match=r"mask\.nii\.gz: no voxel is inside the mask"):
        small.pack()


def without_affine(data: NDArray[np.generic]) -> bytes:
    content = bytearray(nifti_bytes(data))
    content[252:256] = bytes(4)  # qform_code, sform_code
    return bytes(content)


def test_runs_without_an_affine_are_taken_to_be_in_the_space_of_the_mask(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    for run in (1, 2):
        write(small.run_path(run), without_affine(bold(20, seed=run)))
    header = small.pack().header
    with SubjectFile(small.packed) as file:
        np.testing.assert_allclose(file.affine, AFFINE, rtol=1e-6)
        np.testing.assert_array_equal(file.mask, INSIDE)
    assert header.notes == [
        "sub-01_run-1_bold.nii.gz and 1 more: no affine (sform or qform), taken to be in the space of mask.nii.gz"
    ]


def test_a_mask_without_an_affine_takes_that_of_the_runs(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    write(tmp_path / "mask.nii.gz", without_affine(INSIDE.astype("u1")))
    small.pack()
    with SubjectFile(small.packed) as file:
        np.testing.assert_allclose(file.affine, AFFINE, rtol=1e-6)
    small.write_run(2, bold(20), affine=2 * AFFINE)
    with pytest.raises(UserError, match=r"run-2.*another affine than .*run-1"):
        small.pack()


def test_another_shape_is_refused_with_or_without_an_affine(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    write(small.run_path(2), without_affine(np.ones((5, 4, 4, 20), "<i2")))
    with pytest.raises(UserError, match=r"run-2.*another shape than .*mask\.nii\.gz \(5 x 4 x 4 and 5 x 4 x 3\)"):
        small.pack()


def test_no_affine_anywhere_is_said(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=1, mask=False)
    write(small.run_path(1), without_affine(bold(20)))
    assert "no affine (sform or qform) in any file" in small.pack().header.notes[0]
