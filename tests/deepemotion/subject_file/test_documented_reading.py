"""The example in docs/subject-file.md puts volumes back in their place, for each kind of scale and version."""

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from nifti_dataset import SHAPE, SmallDataset, bold, half_mask, physical

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "subject-file.md"
ROW = 100


@pytest.mark.parametrize(("kind", "version"), [("int16", 1), ("int16", 2), ("float32", 2), ("both", 2)])
def test_the_example_reads_what_was_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, version: int
) -> None:
    small = SmallDataset(tmp_path, runs=6)
    for run in range(1, 7):
        data = bold(20, seed=run)
        if kind == "float32" or (kind == "both" and run == 1):
            data = data + np.random.default_rng(run).random((*SHAPE, 20), "f4")
        small.write_run(run, data, slope=0.5, intercept=-3)
    small.pack()
    expected = physical(small.packed)[ROW]
    with h5py.File(small.packed, "r+") as file:
        assert ("voxel_scale" in file) == (kind != "int16")
        if version == 1:
            file.attrs["format_version"] = 1
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    monkeypatch.chdir(tmp_path)
    exec(code, names)
    np.testing.assert_allclose(names["volume"][half_mask()], expected[_in_mask_order()], rtol=1e-6)
    assert not names["volume"][~half_mask()].any()


def _in_mask_order() -> Any:
    """Return the place of each voxel of a mask, in the order of numpy's boolean index, among the packed ones."""
    numbers = np.zeros(half_mask().size, int)
    numbers[half_mask().ravel(order="F")] = np.arange(half_mask().sum())
    return numbers.reshape(SHAPE, order="F")[half_mask()]
