"""The statistics of voxels that packing stores are those of the sources."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from nifti_dataset import SHAPE, SmallDataset, masked, physical

from deepemotion.subject_file.reader import SubjectFile


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
