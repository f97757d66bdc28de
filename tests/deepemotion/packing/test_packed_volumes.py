"""The volumes that packing stores are those of the sources."""

import shutil
from pathlib import Path
from typing import Any

import h5py
import nibabel
import nitime
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nifti_dataset import AFFINE, SHAPE, SmallDataset, bold, half_mask, masked, physical

from deepemotion.dataset.description import Dataset
from deepemotion.packing.subject import PackRequest, pack_subject
from deepemotion.subject_file.options import Compression, NanRule
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.verify import problems


def test_int16_is_stored_as_it_is(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    small.write_run(2, bold(20, seed=2), slope=0.25, intercept=-7)
    packed = small.pack()
    assert (packed.read, packed.kept) == ([1, 2], [])
    with SubjectFile(packed.path) as file:
        stored = file.read(np.arange(40))
        np.testing.assert_array_equal(stored, np.concatenate([masked(bold(20, seed=1)), masked(bold(20, seed=2))]))
        np.testing.assert_array_equal(file.scale, [[1, 0]] * 20 + [[0.25, -7]] * 20)
        np.testing.assert_array_equal(file.mask, half_mask())
        np.testing.assert_allclose(file.affine, AFFINE, rtol=1e-6)
        np.testing.assert_array_equal(file.run, [1] * 20 + [2] * 20)
        np.testing.assert_array_equal(file.index_in_run, [*range(20), *range(20)])
        np.testing.assert_array_equal(file.movie_time, [*range(20), *range(18, 38)])
        assert [run.largest_error for run in file.header.runs] == [0, 0]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dtype=st.sampled_from(["i1", "u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "<i8", "<f4", ">f4", "<f8"]),
    values=st.data(),
    slope=st.sampled_from([1.0, 0.5, -2.0, 0.07540696859359741]),
    intercept=st.sampled_from([0.0, 3100.76171875, -1e4]),
)
def test_the_recorded_error_bounds_every_voxel_of_every_type(
    tmp_path_factory: pytest.TempPathFactory, dtype: str, values: st.DataObject, slope: float, intercept: float
) -> None:
    kind = np.dtype(dtype)
    limits: dict[str, Any] = {"allow_nan": False, "allow_infinity": False, "min_value": -1e9, "max_value": 1e9}
    if kind.kind in "iu":
        limits = {"min_value": max(np.iinfo(kind).min, -(2**40)), "max_value": min(np.iinfo(kind).max, 2**40)}
    elements = hnp.from_dtype(kind, **limits)
    data = values.draw(hnp.arrays(kind, (*SHAPE, 3), elements=elements))
    small = SmallDataset(tmp_path_factory.mktemp("types"), runs=1, suffix=".nii")
    small.write_run(1, data, slope=slope, intercept=intercept)
    packed = small.pack()
    # The NIfTI header holds its scale in single precision.
    expected = masked(data).astype(np.float64) * float(np.float32(slope)) + float(np.float32(intercept))
    error = np.abs(physical(packed.path) - expected)
    rounding = 4 * np.finfo(np.float64).eps * (np.abs(expected).max() + abs(intercept))
    record = packed.header.runs[0]
    assert error.max() <= record.largest_error + rounding
    # Scales are stored in single precision: a step is never smaller than its smallest number.
    smallest = abs(slope) * float(np.finfo(np.float32).tiny)
    assert record.largest_error <= np.ptp(expected, axis=0).max() / 131068 * (1 + 1e-6) + rounding + smallest
    if kind.kind in "iu" and kind.itemsize <= 2:
        assert record.largest_error == 0


def test_floats_that_hold_small_integers_are_exact(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=1)
    small.write_run(1, bold(20).astype("<f4"))
    assert small.pack().header.runs[0].largest_error == 0
    np.testing.assert_array_equal(physical(small.packed), masked(bold(20)))


def test_a_constant_float_volume(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=1)
    small.write_run(1, np.full((*SHAPE, 3), 0.1, "<f8"))
    assert small.pack().header.runs[0].largest_error == 0
    np.testing.assert_array_equal(physical(small.packed), 0.1)


@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize(
    "source",
    [
        Path(nitime.__file__).parent / "data/fmri1.nii.gz",
        Path(nitime.__file__).parent / "data/fmri2.nii.gz",
        Path(nibabel.__file__).parent / "tests/data/functional.nii",
    ],
    ids=lambda path: path.name,
)
def test_real_bold_files_come_back_exactly(tmp_path: Path, source: Path, with_mask: bool) -> None:
    shutil.copy(source, tmp_path / source.name)
    image = nibabel.load(source)
    mask = np.ones(image.shape[:3], bool)
    files = {"bold": source.name}
    if with_mask:
        mask = np.asanyarray(image.dataobj)[..., 0] > np.median(np.asanyarray(image.dataobj)[..., 0])
        nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), image.affine), tmp_path / "mask.nii.gz")
        files["mask"] = "mask.nii.gz"
    segments = [{"run": 1, "start": 0, "end": 2 * image.shape[3]}]
    description = {"name": "real", "tr": 2.0, "subjects": ["01"], "segments": segments, "files": files}
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(description))
    packed = pack_subject(PackRequest(Dataset.of_folder(tmp_path), tmp_path, "01", tmp_path / "packed"))
    inside = mask.ravel(order="F")
    expected = image.get_fdata(dtype=np.float64).reshape(-1, image.shape[3], order="F").T[:, inside]
    raw = image.dataobj.get_unscaled().reshape(-1, image.shape[3], order="F").T[:, inside]
    with SubjectFile(packed.path) as file:
        np.testing.assert_array_equal(file.read(np.arange(file.total)), raw)
        np.testing.assert_allclose(file.affine, image.affine)
    np.testing.assert_array_equal(physical(packed.path), expected)
    assert problems(packed.path) == []


def test_bitshuffle_holds_the_same_in_less(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=1)
    plain = small.pack().header.checksum
    before = physical(small.packed)
    packed = small.pack(compression=Compression.BITSHUFFLE)
    assert (packed.read, packed.kept) == ([], [1])
    assert packed.header.checksum == plain
    np.testing.assert_array_equal(physical(small.packed), before)
    with h5py.File(small.packed) as file:
        assert file["volumes"].id.get_create_plist().get_nfilters() == 1


def test_not_finite_voxels_become_zero_when_asked(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=1)
    data = bold(20, dtype="<f4") + 0.25
    places = np.argwhere(half_mask())[:3]
    for (x, y, z), wrong in zip(places, (np.nan, np.inf, -np.inf), strict=True):
        data[x, y, z, 4] = wrong
    small.write_run(1, data, intercept=5)
    packed = small.pack(nan=NanRule.ZERO)
    record = packed.header.runs[0]
    assert record.not_finite == 3
    expected = masked(np.where(np.isfinite(data), data + 5.0, 0))
    assert np.abs(physical(packed.path) - expected).max() <= record.largest_error * (1 + 1e-9)


def test_voxels_outside_the_mask_may_be_nan(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=1)
    data = bold(20, dtype="<f4")
    data[~half_mask()] = np.nan
    small.write_run(1, data)
    assert small.pack().header.runs[0].not_finite == 0
