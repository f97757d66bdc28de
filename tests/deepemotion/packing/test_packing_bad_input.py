"""Bad input ends in one line that names it, and leaves no file and no change behind."""

import fcntl
import gzip
import re
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from nifti_dataset import AFFINE, SHAPE, SmallDataset, bold, half_mask, nifti_bytes, write

from deepemotion.errors import UserError
from deepemotion.subject_file.options import NanRule


def truncated(small: SmallDataset) -> None:
    path = small.run_path(2)
    path.write_bytes(path.read_bytes()[:-100])


def wrong_crc(small: SmallDataset) -> None:
    path = small.run_path(2)
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)


def not_nifti(small: SmallDataset) -> None:
    small.run_path(2).write_bytes(gzip.compress(b"plain text\n" * 100))


def unknown_datatype(small: SmallDataset) -> None:
    content = bytearray(gzip.decompress(small.run_path(2).read_bytes()))
    content[70:72] = (999).to_bytes(2, "little")
    small.run_path(2).write_bytes(gzip.compress(content))


def nan_and_infinite(small: SmallDataset) -> None:
    data = bold(20, dtype="<f4")
    x, y, z = np.argwhere(half_mask())[0]
    data[x, y, z, [3, 5]] = np.nan, np.inf
    small.write_run(2, data)


def rewrite(shape: tuple[int, ...], affine: np.ndarray = AFFINE) -> Callable[[SmallDataset], None]:
    return lambda small: void(small.write_run(2, np.ones(shape, "<i2"), affine=affine))


def scaled_beyond_float32(small: SmallDataset) -> None:
    small.write_run(2, bold(20), slope=1e38)


def void(_: object) -> None:
    return None


def empty_mask(small: SmallDataset) -> None:
    write(small.root / "mask.nii.gz", nifti_bytes(np.zeros(SHAPE, np.uint8)))


def many_masks(small: SmallDataset) -> None:
    write(small.root / "mask.nii.gz", nifti_bytes(np.ones((*SHAPE, 3), np.uint8)))


def damaged_mask(small: SmallDataset) -> None:
    path = small.root / "mask.nii.gz"
    path.write_bytes(path.read_bytes()[:-9])


def dangling_link(small: SmallDataset) -> None:
    small.run_path(2).unlink()
    small.run_path(2).symlink_to(".git/annex/objects/xx")


def test_too_small_a_disk_is_told_in_units_that_show_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = namedtuple("usage", ("total", "used", "free"))(10**9, 10**9, 1500)
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    small = SmallDataset(tmp_path)
    needed = 2 * half_mask().sum() * 40
    message = f"no space left: sub-01 needs {needed / 1e3:.2f} kB, 1.50 kB are free"
    with pytest.raises(UserError, match=re.escape(message)):
        small.pack()


BAD = [
    (truncated, r"run-2.*truncated after \d+ of 20 volumes; fetch it again"),
    (wrong_crc, r"run-2.*corrupt.*fetch it again"),
    (not_nifti, r"run-2.*not a NIfTI"),
    (unknown_datatype, r"run-2.*not a NIfTI file.*or damaged"),
    (nan_and_infinite, r"run-2.*2 voxels inside the mask.*--nan zero"),
    (rewrite(SHAPE), r"run-2.*too few volumes \(1\)"),
    (rewrite((*SHAPE, 1)), r"run-2.*too few volumes \(1\)"),
    (rewrite((*SHAPE, 21)), r"run-2.*21 volumes.*run 2 ends after 20 s \(20\); correct the segments"),
    (rewrite((5, 4, 4, 20)), r"run-2.*another shape than .*mask\.nii\.gz"),
    (rewrite((*SHAPE, 20), 2 * AFFINE), r"run-2.*another affine than .*mask\.nii\.gz"),
    (
        rewrite((*SHAPE, 20), np.diag([1.2, 0, 1.2, 1.0])),
        r"run-2.*its affine gives voxels without a volume; correct its",
    ),
    (scaled_beyond_float32, r"run-2.*voxels of over 1e38.*rescale the file"),
    (empty_mask, r"mask\.nii\.gz: no voxel"),
    (many_masks, r"mask\.nii\.gz: 3 volumes; a mask has one"),
    (damaged_mask, r"mask\.nii\.gz: (truncated|not a NIfTI.*or damaged)"),
    (dangling_link, r"run-2.*datalad get"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD, ids=[pattern for _, pattern in BAD])
@pytest.mark.parametrize("packed_before", [False, True])
def test_bad_source(tmp_path: Path, spoil: Callable[[SmallDataset], None], message: str, packed_before: bool) -> None:
    small = SmallDataset(tmp_path)
    if packed_before:
        small.pack()
    before = small.packed.read_bytes() if packed_before else None
    spoil(small)
    with pytest.raises(UserError) as raised:
        small.pack()
    assert re.search(message, str(raised.value))
    assert "\n" not in str(raised.value)
    left = sorted(small.out.iterdir()) if small.out.exists() else []
    assert left == ([small.controls, small.packed] if packed_before else [])
    assert not packed_before or small.packed.read_bytes() == before


def test_the_other_runs_space_counts_where_there_is_no_mask(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, mask=False)
    small.write_run(2, np.ones((5, 4, 4, 20), "<i2"))
    with pytest.raises(UserError, match=r"run-2.*another shape than .*run-1"):
        small.pack()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    small.out.write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"sub-01\.h5.*cannot write|sub-01\.h5: "):
        small.pack()
    assert small.out.read_text() == "a file where the folder should be"


def test_a_file_that_is_none_of_ours_is_not_replaced(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    small.out.mkdir()
    small.packed.write_bytes(b"someone's own notes")
    with pytest.raises(UserError, match="not an HDF5 file"):
        small.pack()
    small.packed.unlink()
    with h5py.File(small.packed, "w") as file:
        file["mine"] = 1
    with pytest.raises(UserError, match="not a packed subject"):
        small.pack()
    with h5py.File(small.packed) as file:
        assert "mine" in file


def test_a_truncated_packed_file_is_packed_again(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    small.pack()
    whole = small.packed.read_bytes()
    small.packed.write_bytes(whole[: len(whole) // 2])
    assert small.pack().read == [1, 2]


def test_a_damaged_volume_is_never_copied(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    small.pack()
    with h5py.File(small.packed, "r+", locking=False) as file:
        place = file["volumes"].id.get_chunk_info(3).byte_offset
    content = bytearray(small.packed.read_bytes())
    content[place] ^= 1
    small.packed.write_bytes(content)
    small.write_run(2, bold(20, seed=9))
    with pytest.raises(UserError, match="volume 3 is damaged; delete"):
        small.pack()


def test_abandoned_temporaries_go_and_held_ones_stay(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    small.out.mkdir()
    abandoned, held, other = (
        small.out / name for name in (".partial-a-sub-01.h5", ".partial-b-sub-01.h5", ".partial-c-sub-02.h5")
    )
    for path in (abandoned, held, other):
        path.touch()
    with held.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        small.pack(nan=NanRule.ZERO)
    assert sorted(small.out.iterdir()) == sorted([held, other, small.controls, small.packed])
