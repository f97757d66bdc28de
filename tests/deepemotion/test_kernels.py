"""The compiled code takes the voxels of a mask and adds volumes as numpy does, and is missed in one line."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

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


@pytest.mark.parametrize(
    ("sizes", "kind"),
    [({"mask": 9}, "i2"), ({"mask": 5, "out": 4}, "i2"), ({"mask": 8}, "i4"), ({"mask": 8, "step": 2}, "i2")],
)
def test_arrays_that_do_not_go_together_are_refused(sizes: dict[str, int], kind: str) -> None:
    segments = kernels.mask_segments(np.ones((sizes["mask"], 1, 1), bool))
    volume = np.zeros(16, "i2")[:: sizes.get("step", 1)][:8]
    with pytest.raises(ValueError, match="do not go together"):
        kernels.gather(volume, segments, np.empty(sizes.get("out", sizes["mask"]), kind))


@pytest.mark.parametrize(
    ("changed", "message"), [("kernels.c", "install deepemotion again"), ("kernels-*.so", "cannot be loaded")]
)
def test_a_library_of_another_source_or_machine_is_refused_in_one_line(
    tmp_path: Path, changed: str, message: str
) -> None:
    copy = tmp_path / "deepemotion"
    shutil.copytree(ROOT / "deepemotion", copy, ignore=shutil.ignore_patterns("__pycache__"))
    for path in list(copy.glob(changed)):
        path.write_text("/* changed */\n")
    words = [sys.executable, "-m", "deepemotion.cli", "pack", "nowhere", "--dataset", "studyforrest", "--out", "out"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert message in done.stderr


@pytest.fixture
def build() -> ModuleType:
    """Return hatch_build.py, the hook that installation calls."""
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_machine_without_a_compiler_installs_one_from_the_package_index(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = build.KernelsHook(str(ROOT), {}, None, None, "", "wheel")
    monkeypatch.setenv("CC", f"{sys.executable} -x")
    assert hook.dependencies() == []
    monkeypatch.setenv("CC", "/nowhere/cc")
    with pytest.raises(RuntimeError, match="CC=/nowhere/cc: no such compiler"):
        hook.dependencies()
    monkeypatch.setenv("CC", "")
    monkeypatch.setenv("PATH", os.devnull)
    assert hook.dependencies() == ["ziglang>=0.13"]


@pytest.mark.parametrize("program", ["exit 1", 'echo "not a library" > "$6"'])
def test_a_compiler_that_fails_is_named_and_leaves_nothing(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    (tmp_path / "tree" / "deepemotion").mkdir(parents=True)
    shutil.copy(ROOT / "deepemotion" / "kernels.c", tmp_path / "tree" / "deepemotion")
    compiler = tmp_path / "broken-cc"
    compiler.write_text(f"#!/bin/sh\n{program}\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    hook = build.KernelsHook(str(tmp_path / "tree"), {}, None, None, "", "wheel")
    with pytest.raises(RuntimeError, match=r"broken-cc does not build .*; set CC to a C compiler"):
        hook.initialize("editable", {"force_include": {}})
    assert [path.name for path in (tmp_path / "tree" / "deepemotion").iterdir()] == ["kernels.c"]
