"""What packing stores is what the sources say."""

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
from nifti_dataset import AFFINE, SHAPE, SmallDataset, bold, half_mask, masked, nifti_bytes, physical, write

from deepemotion.dataset import Dataset
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
    assert record.largest_error <= np.ptp(expected, axis=1).max() / 131068 * (1 + 1e-6) + rounding
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


@settings(max_examples=30, deadline=None)
@given(
    volumes=st.integers(2, 50),
    seed=st.integers(0, 1000),
    dtype=st.sampled_from(["<i2", "<f4", "<f8"]),
    offset=st.sampled_from([0, 1000, 30000]),
    drift=st.floats(-5, 5),
)
def test_statistics_are_numpys(
    tmp_path_factory: pytest.TempPathFactory, volumes: int, seed: int, dtype: str, offset: int, drift: float
) -> None:
    small = SmallDataset(tmp_path_factory.mktemp("statistics"), runs=0, suffix=".nii")
    small.runs = 1
    rng = np.random.default_rng(seed)
    noise = rng.normal(offset, 20, (*SHAPE, volumes)) + drift * np.arange(volumes)
    small.describe()
    description = yaml.safe_load((small.root / "dataset.yaml").read_text())
    description["segments"][0]["end"] = 60
    (small.root / "dataset.yaml").write_text(yaml.safe_dump(description))
    small.write_run(1, noise.astype(dtype), slope=0.5, intercept=10)
    small.pack()
    values = physical(small.packed)
    with SubjectFile(small.packed) as file:
        np.testing.assert_allclose(file.statistics("mean")[0], values.mean(axis=0), rtol=1e-6, atol=1e-5)
        np.testing.assert_allclose(file.statistics("std")[0], values.std(axis=0), rtol=1e-4)
        trend = np.polyfit(np.arange(volumes), values, 1)[0]
        np.testing.assert_allclose(file.statistics("trend")[0], trend, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("first", [1e-300, 1e-3, 1e6])
def test_statistics_over_volumes_of_very_different_ranges(tmp_path: Path, first: float) -> None:
    small = SmallDataset(tmp_path, runs=1)
    data = np.random.default_rng(0).normal(0, 1, (*SHAPE, 20))
    data[..., 0] *= first
    small.write_run(1, data)
    small.pack()
    values = physical(small.packed)
    with SubjectFile(small.packed) as file:
        for name, expected in (("mean", values.mean(axis=0)), ("std", values.std(axis=0))):
            np.testing.assert_allclose(file.statistics(name)[0], expected, rtol=1e-5, atol=1e-6 * max(first, 1))


def test_statistics_of_voxels_that_jump_stand_still_or_span_all_of_int16(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=0, suffix=".nii")
    small.runs, volumes = 1, 100
    rng = np.random.default_rng(0)
    data = np.full((*SHAPE, volumes), 20_001, "<i2")
    data[0] = rng.integers(-32768, 32767, (*SHAPE[1:], volumes), endpoint=True)
    # Its mean over the first volumes is far from that of all.
    data[1, ..., :32] = -30_000
    data[1, ..., 32:] = 30_000 + rng.integers(-1, 2, (*SHAPE[1:], volumes - 32))
    small.describe()
    description = yaml.safe_load((small.root / "dataset.yaml").read_text())
    description["segments"][0]["end"] = volumes
    (small.root / "dataset.yaml").write_text(yaml.safe_dump(description))
    small.write_run(1, data)
    small.pack()
    values = masked(data).astype(np.float64)
    with SubjectFile(small.packed) as file:
        np.testing.assert_allclose(file.statistics("mean")[0], values.mean(axis=0), rtol=1e-6, atol=1e-3)
        np.testing.assert_allclose(file.statistics("std")[0], values.std(axis=0), rtol=1e-6)
        trend = np.polyfit(np.arange(volumes), values, 1)[0]
        np.testing.assert_allclose(file.statistics("trend")[0], trend, rtol=1e-5, atol=1e-3)


def test_runs_packed_together_are_those_packed_one_by_one(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=5)
    for run in range(1, 6):
        small.write_run(run, bold(5 + 3 * run, seed=run))
    alone = small.pack(threads=1)
    small.packed.unlink()
    together = small.pack(threads=4)
    assert (together.read, together.header.runs) == ([1, 2, 3, 4, 5], alone.header.runs)
    assert together.header.checksum == alone.header.checksum
    assert problems(small.packed) == []


def test_what_fails_in_one_run_ends_them_all_and_leaves_nothing(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=4)
    counted = []

    def count() -> None:
        counted.append(1)
        if len(counted) == 10:
            raise LookupError

    with pytest.raises(LookupError):
        pack_subject(PackRequest(Dataset.of_folder(tmp_path), tmp_path, "01", small.out, threads=2), count)
    assert len(counted) < 4 * 20
    assert list(small.out.iterdir()) == []


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


def test_run_masks_are_intersected(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, mask=False)
    masks = [np.random.default_rng(run).random(SHAPE) < 0.7 for run in (1, 2)]
    for run, mask in enumerate(masks, start=1):
        write(tmp_path / f"mask-{run}.nii.gz", nifti_bytes(np.where(mask, 1.0, np.nan).astype("<f4")))
    description = yaml.safe_load((tmp_path / "dataset.yaml").read_text())
    description["files"]["run_mask"] = "mask-{run}.nii.gz"
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(description))
    with SubjectFile(small.pack().path) as file:
        np.testing.assert_array_equal(file.mask, masks[0] & masks[1])


def test_a_short_run_is_kept_and_told(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    small.write_run(2, bold(13))
    packed = small.pack()
    assert packed.short_runs(Dataset.of_folder(tmp_path)) == ["sub-01 run 2: 13 of 20 volumes"]
    with SubjectFile(packed.path) as file:
        assert file.volumes_per_run == {1: 20, 2: 13}


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
