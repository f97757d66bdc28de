"""Packing again reads what has changed, and no more."""

import os
from pathlib import Path

import numpy as np
import yaml
from nifti_dataset import SmallDataset, bold, half_mask, masked, nifti_bytes, physical, write

from deepemotion.subject_file.options import NanRule
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.verify import problems


def test_what_is_there_is_skipped(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    small.pack()
    before = small.packed.stat()
    for path in tmp_path.glob("*.nii.gz"):
        os.utime(path, (1, 1))
    packed = small.pack()
    assert (packed.read, packed.kept) == ([], [])
    assert small.packed.stat().st_mtime_ns == before.st_mtime_ns


def test_only_a_changed_run_is_read_again(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=3)
    small.pack()
    small.write_run(2, bold(20, seed=99))
    packed = small.pack()
    assert (packed.read, packed.kept) == ([2], [1, 3])
    expected = [masked(bold(20, seed=seed)) for seed in (1, 99, 3)]
    np.testing.assert_array_equal(physical(small.packed), np.concatenate(expected))
    again = SmallDataset(tmp_path / "again", runs=3)
    again.write_run(2, bold(20, seed=99))
    assert again.pack().header.checksum == packed.header.checksum


def test_a_run_of_same_size_and_other_content_is_noticed(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, suffix=".nii")
    small.pack()
    small.write_run(1, bold(20, seed=50))
    os.utime(small.run_path(1), (5, 5))
    assert small.pack().read == [1]


def test_a_run_can_be_added_and_taken_away(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=2)
    small.pack()
    small.runs = 3
    small.write_run(3, bold(20, seed=3))
    small.describe()
    packed = small.pack()
    assert (packed.read, packed.kept) == ([3], [1, 2])
    small.runs = 1
    small.describe()
    packed = small.pack()
    assert (packed.read, packed.kept) == ([], [1])
    np.testing.assert_array_equal(physical(small.packed), masked(bold(20, seed=1)))
    assert problems(small.packed) == []


def test_corrected_segments_move_the_times_and_read_nothing(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    first = small.pack()
    description = yaml.safe_load((tmp_path / "dataset.yaml").read_text())
    description["segments"][1] = {"run": 2, "start": 100, "end": 120}
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(description))
    packed = small.pack()
    assert (packed.read, packed.kept) == ([], [1, 2])
    assert packed.header.checksum != first.header.checksum
    with SubjectFile(small.packed) as file:
        assert file.movie_time[20] == 100


def test_another_mask_or_nan_rule_reads_everything_again(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    small.pack()
    write(tmp_path / "mask.nii.gz", nifti_bytes((~half_mask()).astype(np.uint8)))
    assert small.pack().read == [1, 2]
    assert small.pack(nan=NanRule.ZERO).read == [1, 2]


def test_a_mask_rewritten_with_the_same_voxels_reads_nothing(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    small.pack()
    write(tmp_path / "mask.nii.gz", nifti_bytes(half_mask().astype("<f4")))
    assert small.pack().read == []
    assert small.pack().kept == []
