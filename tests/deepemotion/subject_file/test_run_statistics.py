"""The statistics of a run are those of its volumes, however many, and when their scale changes on the way."""

import numpy as np
import pytest

from deepemotion.subject_file.run_statistics import BLOCK, RunStatistics


def statistics_of(stored: np.ndarray, scale: np.ndarray) -> dict[str, np.ndarray]:
    statistics = RunStatistics(stored.shape[1])
    for i in range(0, len(stored), BLOCK):
        statistics.add(stored[i : i + BLOCK], scale[i : i + BLOCK])
    return statistics.result()


@pytest.mark.parametrize("later", [(1e-60, 0.0), (1e-6, 0.5), (-2.0, 7.0), (1e6, -1e9), (1.0, 1e8)])
@pytest.mark.parametrize("volumes", [33, 100])
def test_a_scale_that_changes_after_many_volumes(later: tuple[float, float], volumes: int) -> None:
    rng = np.random.default_rng(0)
    stored = rng.integers(-32767, 32767, (volumes, 50), dtype=np.int16)
    scale = np.array([(1.0, 0.0)] * 32 + [later] * (volumes - 32))
    result = statistics_of(stored, scale)
    values = stored * scale[:, :1] + scale[:, 1:]
    spread = values.std(axis=0).max()
    np.testing.assert_allclose(result["mean"], values.mean(axis=0), rtol=1e-5, atol=1e-6 * spread)
    np.testing.assert_allclose(result["std"], values.std(axis=0), rtol=1e-5)
    trend = np.polyfit(np.arange(volumes), values, 1)[0]
    np.testing.assert_allclose(result["trend"], trend, rtol=1e-4, atol=1e-6 * spread)


@pytest.mark.parametrize("voxels", [1, 1023, 1024, 3000])
@pytest.mark.parametrize("volumes", [2, 32, 77])
def test_statistics_of_any_number_of_voxels_and_volumes(voxels: int, volumes: int) -> None:
    rng = np.random.default_rng(voxels)
    values = rng.integers(-32768, 32767, voxels) + rng.normal(0, 30, (volumes, voxels)).cumsum(axis=0)
    stored = values.clip(-32768, 32767).astype(np.int16)
    result = statistics_of(stored, np.full((volumes, 2), (0.5, -3.0)))
    exact = 0.5 * stored.astype(np.float64) - 3.0
    np.testing.assert_allclose(result["mean"], exact.mean(axis=0), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(result["std"], exact.std(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(result["trend"], np.polyfit(np.arange(volumes), exact, 1)[0], rtol=1e-3, atol=1e-3)
