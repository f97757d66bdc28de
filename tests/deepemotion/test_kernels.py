"""The compiled code takes the voxels of a mask and adds volumes as numpy does, and is missed in one line."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deepemotion import kernels
from deepemotion.run_statistics import RunStatistics

ROOT = Path(__file__).resolve().parents[2]


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3)), st.sampled_from(["i1", "<i2", ">i4", "<f8"]))
def test_gathered_voxels_are_those_of_the_mask_in_its_order(mask: np.ndarray, dtype: str) -> None:
    volume = np.arange(mask.size).astype(dtype)
    inside = mask.ravel(order="F")
    out = np.empty(inside.sum(), dtype)
    kernels.gather(volume, kernels.mask_segments(mask), out)
    np.testing.assert_array_equal(out, volume[inside])


@pytest.mark.parametrize("voxels", [1, 1023, 1024, 3000])
@pytest.mark.parametrize("volumes", [2, 32, 77])
def test_statistics_of_any_number_of_voxels_and_volumes(voxels: int, volumes: int) -> None:
    rng = np.random.default_rng(voxels)
    values = rng.integers(-32768, 32767, voxels) + rng.normal(0, 30, (volumes, voxels)).cumsum(axis=0)
    stored = values.clip(-32768, 32767).astype(np.int16)
    statistics = RunStatistics(voxels)
    for volume in stored:
        statistics.add(volume, 0.5, -3.0)
    result = statistics.result()
    exact = 0.5 * stored.astype(np.float64) - 3.0
    np.testing.assert_allclose(result["mean"], exact.mean(axis=0), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(result["std"], exact.std(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(result["trend"], np.polyfit(np.arange(volumes), exact, 1)[0], rtol=1e-3, atol=1e-3)


def test_a_library_built_from_another_source_is_not_used(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "deepemotion", tmp_path / "deepemotion")
    with (tmp_path / "deepemotion" / "kernels.c").open("a", encoding="ascii") as source:
        source.write("/* changed */\n")
    words = [sys.executable, "-m", "deepemotion.cli", "pack", "nowhere", "--dataset", "studyforrest", "--out", "out"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "install deepemotion again" in done.stderr


def test_a_machine_without_a_compiler_installs_one_from_the_package_index(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec
    assert spec.loader
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    hook = build.KernelsHook(str(ROOT), {}, None, None, "", "wheel")
    monkeypatch.setenv("CC", sys.executable)
    assert hook.dependencies() == []
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", os.devnull)
    assert hook.dependencies() == ["ziglang>=0.13"]
