"""Packing at the true shape of the StudyForrest data stays far below a gigabyte."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nifti_dataset import AFFINE, SmallDataset, nifti_bytes, write

SHAPE = (132, 175, 48)
PEAK = """
import sys
from pathlib import Path
from deepemotion.dataset.description import Dataset
from deepemotion.packing.subject import PackRequest, pack_subject
root = Path(sys.argv[1])
pack_subject(PackRequest(Dataset.of_folder(root), root, "01", root / "packed"))
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["<i2", "<f4"])
def test_peak_memory_at_the_true_shape(tmp_path: Path, dtype: str) -> None:
    small = SmallDataset(tmp_path, runs=0, mask=False)
    small.runs, small.mask = 1, True
    inside = np.zeros(SHAPE, bool)
    inside[20:110, 20:150, 3:45] = True
    noise = np.random.default_rng(0).integers(0, 500, SHAPE, dtype="<i2")
    data = np.stack([(noise + t).astype(dtype) for t in range(20)], axis=-1)
    write(tmp_path / "mask.nii.gz", nifti_bytes(inside.astype(np.uint8), affine=AFFINE))
    small.write_run(1, data)
    small.describe()
    measured = subprocess.run([sys.executable, "-c", PEAK, tmp_path], capture_output=True, text=True, check=True)
    assert int(measured.stdout) / 1024 < 300, "MB of resident memory"
