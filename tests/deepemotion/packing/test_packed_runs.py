"""A subject's runs in one file: together or one by one, with masks of their own, or short."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from nifti_dataset import SHAPE, SmallDataset, bold, nifti_bytes, write

from deepemotion.dataset.description import Dataset
from deepemotion.packing.subject import PackRequest, pack_subject
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.summary import notes
from deepemotion.subject_file.verify import problems


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
    assert notes(packed.header) == ["sub-01 run 2: 13 of 20 volumes: a short run is kept as it is"]
    with SubjectFile(packed.path) as file:
        assert file.volumes_per_run == {1: 20, 2: 13}
