"""The compiled code takes the voxels of a mask as numpy does, and is missed in one line, by who needs it."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deepemotion.subject_file import kernels

ROOT = Path(__file__).resolve().parents[3]


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3)), st.sampled_from(["i1", "<i2", ">i4", "<f8"]))
def test_gathered_voxels_are_those_of_the_mask_in_its_order(mask: np.ndarray, dtype: str) -> None:
    volume = np.arange(mask.size).astype(dtype)
    inside = mask.ravel(order="F")
    out = np.empty(inside.sum(), dtype)
    kernels.gather(volume, kernels.Segments.of(mask), out)
    np.testing.assert_array_equal(out, volume[inside])


@pytest.mark.parametrize(
    ("sizes", "kind"),
    [({"mask": 9}, "i2"), ({"mask": 5, "out": 4}, "i2"), ({"mask": 8}, "i4"), ({"mask": 8, "step": 2}, "i2")],
)
def test_arrays_that_do_not_go_together_are_refused(sizes: dict[str, int], kind: str) -> None:
    segments = kernels.Segments.of(np.ones((sizes["mask"], 1, 1), bool))
    volume = np.zeros(16, "i2")[:: sizes.get("step", 1)][:8]
    with pytest.raises(ValueError, match="do not match"):
        kernels.gather(volume, segments, np.empty(sizes.get("out", sizes["mask"]), kind))


def test_products_are_those_of_numpy_and_the_same_in_parts() -> None:
    rng = np.random.default_rng(0)
    volumes, basis = rng.integers(-32768, 32767, (16, 301), np.int16), rng.normal(size=(16, 5))
    scale, centre = rng.normal(size=(16, 2)), rng.normal(size=301)
    away = volumes * scale[:, :1] + scale[:, 1:] - centre
    whole, parts = ((np.zeros((5, 301)), np.zeros(301)) for _ in range(2))
    kernels.add_products(volumes, scale, basis, centre, *whole, (0, 301))
    for part in ((0, 3), (3, 3), (3, 100), (100, 301)):
        kernels.add_products(volumes, scale, basis, centre, *parts, part)
    np.testing.assert_allclose(whole[0], basis.T @ away, rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(whole[1], (away**2).sum(axis=0), rtol=1e-9)
    np.testing.assert_array_equal(parts[0], whole[0])
    np.testing.assert_array_equal(parts[1], whole[1])
    for wrong in ((-1, 3), (3, 302), (4, 3)):
        with pytest.raises(ValueError, match="no such part"):
            kernels.add_products(volumes, scale, basis, centre, *parts, wrong)


def test_products_are_subtracted_as_by_numpy_rounded_and_within_int16() -> None:
    rng = np.random.default_rng(0)
    volumes, basis = rng.integers(-32768, 32767, (3, 601), np.int16), rng.normal(size=(3, 4))
    scale = rng.normal(size=(3, 2))
    coefficients, centre = rng.normal(0, 5000, (4, 601)).astype("f4"), rng.normal(0, 100, 601).astype("f4")
    per_unit = np.where(np.arange(601) % 7, 0.8, 0).astype("f4")
    exact = (volumes * scale[:, :1] + scale[:, 1:] - centre - basis @ coefficients.astype(float)) * per_unit
    one = volumes[1:2].copy()
    kernels.subtract_products(volumes, scale, basis, coefficients, centre, per_unit)
    kernels.subtract_products(one, scale[1:2], basis[1:2], coefficients, centre, per_unit)
    assert np.abs(volumes - np.clip(exact, -32767, 32767)).max() <= 0.5 + 1e-6
    assert np.abs(exact).max() > 32767
    np.testing.assert_array_equal(one, volumes[1:2])


@pytest.mark.parametrize(
    ("changed", "message"), [("kernels.c", "install deepemotion again"), ("kernels-*.so", "cannot be loaded")]
)
def test_a_library_of_another_source_or_machine_is_refused_in_one_line(
    tiny_dataset: Path, tiny_packed: Path, tmp_path: Path, changed: str, message: str
) -> None:
    copy = tmp_path / "deepemotion"
    shutil.copytree(ROOT / "deepemotion", copy, ignore=shutil.ignore_patterns("__pycache__"))
    for path in list(copy.rglob(changed)):
        path.write_text("/* changed */\n")
    program = [sys.executable, "-m", "deepemotion.cli"]
    for words in (["pack", tiny_dataset, "--out", "out"], ["verify", tiny_packed / "sub-01.h5"]):
        done = subprocess.run([*program, *words], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert message in done.stderr
    assert not (tmp_path / "out").exists()
    # What is packed can be read all the same.
    subprocess.run([*program, "inspect", tiny_packed / "sub-01.h5"], cwd=tmp_path, check=True)


@given(
    hnp.arrays("<i2", st.integers(1, 70)),
    st.lists(st.integers(1, 70), min_size=1),
    st.booleans(),
)
def test_sums_of_slices_are_those_of_their_voxels(stored: np.ndarray, ends: list[int], scaled: bool) -> None:
    ends_S = np.unique([*(end for end in ends if end < len(stored)), len(stored)]).astype(np.int64)
    slope = np.linspace(0.5, 2, len(stored), dtype=np.float32) if scaled else None
    sums = np.empty(len(ends_S))
    kernels.sum_slices(stored, slope, ends_S, sums)
    values = stored.astype(float) if slope is None else stored * slope.astype(float)
    np.testing.assert_allclose(sums, [part.sum() for part in np.split(values, ends_S[:-1])], rtol=1e-12, atol=1e-9)


def test_slices_of_any_size_have_exact_sums() -> None:
    stored = np.full(100_000, 32767, np.int16)
    sums = np.empty(2)
    kernels.sum_slices(stored, None, np.array([99_999, 100_000]), sums)
    assert sums.tolist() == [99_999 * 32767, 32767]
    with pytest.raises(ValueError, match="do not match"):
        kernels.sum_slices(stored, None, np.array([99_999, 100_001]), sums)
