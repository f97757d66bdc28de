"""Every voxel is stored precisely for its own range over the run, and one that never changes stays constant."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nifti_dataset import SHAPE, SmallDataset, half_mask, masked, physical
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.samples.load import load
from deepemotion.settings.schema import DataSettings
from deepemotion.subject_file.format import ARRAYS, FORMAT, Header, content_checksum_of_version_1
from deepemotion.subject_file.options import NanRule
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.verify import problems

VOLUMES = 20
LABELS = Labels(("ANY",), np.array([-1e3, 1e3]), np.zeros(2, np.int64), np.ones((2, 1), np.float32), "")
# Three voxels inside the mask.
CONSTANT, BRIGHT, FAINT = (tuple(place) for place in np.argwhere(half_mask())[[0, 7, 14]])


def run_of(dtype: str, seed: int = 0, constant: float = 0.0) -> NDArray[Any]:
    """Return (X, Y, Z, T) of noise, with a constant voxel, one of a millionfold range, and one of a hundredth."""
    noise = np.random.default_rng(seed).standard_normal((*SHAPE, VOLUMES))
    noise[BRIGHT] *= 1e6
    noise[FAINT] *= 1e-2
    data = 1000 + 10 * noise
    data[CONSTANT] = constant
    return data.astype(dtype)


def loaded(small: SmallDataset, **how: Any) -> NDArray[np.float32]:
    """Return (T, Z, Y, X) as a model sees them, every volume of every run."""
    samples = load(small.out, ["01"], LABELS, DataSettings(lag_s=0, drop_overlaps=False, **how))
    return samples.dense(torch.arange(len(samples)))[:, 0].numpy().copy()


def volume_of(place: tuple[int, ...]) -> tuple[Any, ...]:
    """Return the index of a voxel (x, y, z) in volumes (T, Z, Y, X)."""
    return (slice(None), *place[::-1])


@pytest.mark.parametrize("normalisation", ["psc", "zscore", "zscore+detrend"])
@pytest.mark.parametrize(("dtype", "constant"), [("<i2", 0), ("<f4", 0), ("<f4", 0.1), ("<f8", 1e-3), ("<i4", 7)])
def test_a_voxel_that_never_changes_is_zero_to_a_model(
    tmp_path: Path, dtype: str, constant: float, normalisation: str
) -> None:
    small = SmallDataset(tmp_path, runs=1)
    data = run_of(dtype, constant=constant)
    data[BRIGHT] = data[FAINT]
    small.write_run(1, data)
    assert small.pack().header.runs[0].constant_voxels == np.count_nonzero(np.ptp(masked(data), axis=0) == 0)
    assert not loaded(small, normalisation=normalisation)[volume_of(CONSTANT)].any()


@pytest.mark.parametrize("normalisation", ["zscore", "zscore+detrend"])
@pytest.mark.parametrize("dtype", ["<i2", "<f4"])
def test_a_block_of_voxels_that_never_change_is_zero_to_a_model(tmp_path: Path, dtype: str, normalisation: str) -> None:
    small = SmallDataset(tmp_path, runs=1, mask=False)
    data = run_of(dtype)
    data[:2, :2, :2] = np.arange(8).reshape(2, 2, 2, 1) + (0.25 if dtype == "<f4" else 0)
    small.write_run(1, data)
    small.pack()
    seen = loaded(small, normalisation=normalisation, downsample=2)
    assert not seen[:, 0, 0, 0].any()
    np.testing.assert_allclose(seen[:, 1:].std(axis=0), 1, rtol=1e-3)


def test_a_voxel_that_is_never_finite_is_zero_to_a_model(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=1)
    data = run_of("<f4")
    data[FAINT] = np.nan
    small.write_run(1, data)
    assert small.pack(nan=NanRule.ZERO).header.runs[0].constant_voxels == 2
    assert not loaded(small, normalisation="zscore")[volume_of(FAINT)].any()


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<i4"])
@pytest.mark.parametrize("crop", [False, True])
def test_one_voxel_of_a_huge_range_takes_no_precision_from_the_others(tmp_path: Path, dtype: str, crop: bool) -> None:
    small = SmallDataset(tmp_path, runs=1)
    data = 1000 * run_of(dtype) if dtype == "<i4" else run_of(dtype)
    small.write_run(1, data)
    small.pack()
    values = masked(data).astype(np.float64)
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num((values - values.mean(axis=0)) / values.std(axis=0))
    seen = loaded(small, normalisation="zscore", crop=crop)
    if not crop:
        np.testing.assert_allclose(seen[:, half_mask().T], _in_order(expected), atol=2e-3)
    assert (np.abs(physical(small.packed) - values) <= values.std(axis=0) / 1000 + 1e-12).all()


def _in_order(values: NDArray[Any]) -> NDArray[Any]:
    """Return voxels (T, V) in the order of a mask (Z, Y, X)."""
    volumes = np.zeros((len(values), *SHAPE[::-1]))
    volumes[:, half_mask().T] = values
    return np.asarray(volumes[:, half_mask().T])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    dtype=st.sampled_from(["<f4", "<f8", "<i4", ">f4"]),
    scale=st.floats(1e-3, 1e4),
    offset=st.sampled_from([0.0, 1000.0, -3e5]),
    spread=st.floats(0, 6),
)
def test_the_error_of_each_voxel_is_bounded_by_its_own_standard_deviation(
    tmp_path_factory: pytest.TempPathFactory, seed: int, dtype: str, scale: float, offset: float, spread: float
) -> None:
    rng = np.random.default_rng(seed)
    data = offset + scale * rng.standard_t(2, (*SHAPE, VOLUMES)) * 10 ** rng.uniform(-spread, 0, (*SHAPE, 1))
    small = SmallDataset(tmp_path_factory.mktemp("bound"), runs=1, suffix=".nii")
    small.write_run(1, data.astype(dtype))
    record = small.pack().header.runs[0]
    values = masked(data.astype(dtype)).astype(np.float64)
    error, deviation = np.abs(physical(small.packed) - values).max(axis=0), values.std(axis=0)
    rounding = 1e-15 * np.abs(values).max(axis=0)
    assert (error <= np.sqrt(2 * VOLUMES) / 131_068 * deviation * (1 + 1e-6) + rounding).all()
    assert record.largest_error_sd is not None
    assert record.largest_error_sd <= np.sqrt(2 * VOLUMES) / 131_068 * 1.001
    assert error.max() <= record.largest_error + rounding.max()


def test_runs_of_different_types_share_a_file(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=2)
    small.write_run(1, run_of("<i2"), slope=0.5, intercept=3)
    small.write_run(2, run_of("<f4", seed=1))
    small.pack()
    values = [0.5 * masked(run_of("<i2")) + 3, masked(run_of("<f4", seed=1)).astype(np.float64)]
    np.testing.assert_array_equal(physical(small.packed)[:VOLUMES], values[0])
    seen = loaded(small, normalisation="none")[:, half_mask().T]
    expected = np.concatenate([_in_order(run) for run in values])
    assert (np.abs(seen - expected) <= expected.std(axis=0) / 1000 + 1e-4).all()
    assert problems(small.packed) == []
    before = small.packed.read_bytes()
    small.write_run(1, run_of("<i2", seed=2))
    assert small.pack().kept == [2]
    np.testing.assert_array_equal(physical(small.packed)[VOLUMES:], physical_of(before, tmp_path)[VOLUMES:])


def physical_of(content: bytes, folder: Path) -> NDArray[np.float64]:
    path = folder / "before.h5"
    path.write_bytes(content)
    return physical(path)


def test_percent_of_a_mean_that_was_removed_is_refused(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=1)
    data = run_of("<f8")
    small.write_run(1, (data - data.mean(axis=-1, keepdims=True)).astype("<f4"))
    small.pack()
    with pytest.raises(UserError, match=r"psc: .* run 1, have a mean smaller .* use zscore or none"):
        loaded(small, normalisation="psc")


def test_values_beyond_single_precision_are_refused(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=1)
    small.write_run(1, run_of("<f8") * 1e300)
    with pytest.raises(UserError, match="more than float32 holds"):
        small.pack()
    assert not small.packed.exists()


def as_version_1(path: Path, largest_error: float = 0.0) -> None:
    """Turn a packed file of exact values into one of version 1 of the format."""
    with h5py.File(path, "r+") as file:
        runs = json.loads(file.attrs["runs"])
        for run in runs:
            del run["constant_voxels"], run["largest_error_sd"]
            run["largest_error"] = largest_error
        file.attrs["runs"] = json.dumps(runs)
        file.attrs["format_version"] = 1
        del file.attrs["arrays"]
        arrays = {name: file[name].astype(kind)[()] for name, kind in ARRAYS.items()}
        file.attrs["checksum"] = content_checksum_of_version_1(Header.read(file), arrays)
        assert file.attrs["format"] == FORMAT


def test_a_file_of_version_1_is_read_checked_and_packed_anew(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=2)
    small.pack()
    expected = physical(small.packed)
    as_version_1(small.packed)
    np.testing.assert_array_equal(physical(small.packed), expected)
    assert problems(small.packed) == []
    with h5py.File(small.packed, "r+") as file:
        file["statistics/mean"][0, 0] += 1
    with SubjectFile(small.packed) as file, pytest.raises(UserError, match="its arrays are not those that were packed"):
        file.statistics("mean")
    again = small.pack()
    assert again.header.format_version == 2
    np.testing.assert_array_equal(physical(small.packed), expected)


def test_noise_of_the_rounding_of_version_1_is_no_signal(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=1)
    data = np.full((*SHAPE, VOLUMES), 1000, "<i2")
    data += np.random.default_rng(0).integers(-200, 200, data.shape, dtype="<i2")
    data[CONSTANT] = np.random.default_rng(1).integers(0, 2, VOLUMES)
    small.write_run(1, data)
    small.pack()
    as_version_1(small.packed, largest_error=1.0)
    assert not loaded(small, normalisation="zscore")[volume_of(CONSTANT)].any()


@pytest.mark.parametrize("name", [*ARRAYS, "voxel_scale/slope", "voxel_scale/intercept"])
def test_a_flipped_bit_in_any_array_is_found_when_it_is_read(tmp_path: Path, name: str) -> None:
    small = SmallDataset(tmp_path, runs=1)
    small.write_run(1, run_of("<f4"))
    small.pack()
    with h5py.File(small.packed, "r+") as file:
        content = bytearray(file[name][()].tobytes())
        content[len(content) // 2] ^= 1
        file[name][...] = np.frombuffer(bytes(content), file[name].dtype).reshape(file[name].shape)
    damaged = rf"sub-01\.h5: /{name} is not what was packed: damaged; pack it again"
    with SubjectFile(small.packed) as file, pytest.raises(UserError, match=damaged):
        file.array(name)
    # Of a single subject nobody asks where it lies.
    if name != "affine":
        with pytest.raises(UserError, match=damaged):
            loaded(small, normalisation="zscore+detrend")
    small.pack()
    assert problems(small.packed) == []
