"""Reading packed subject files: rows in any order, and one clear line for whatever is no subject file."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nifti_dataset import SHAPE, SmallDataset, half_mask

from deepemotion.errors import UserError
from deepemotion.subject_file.folder import find_subjects
from deepemotion.subject_file.options import Compression
from deepemotion.subject_file.reader import SubjectFile, subject_path
from deepemotion.subject_file.verify import problems


@pytest.fixture(scope="module", params=list(Compression))
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SmallDataset(tmp_path_factory.mktemp("data")).pack(compression=request.param).path


@pytest.fixture
def small(tmp_path: Path) -> SmallDataset:
    small = SmallDataset(tmp_path)
    small.pack()
    return small


def test_what_is_known_from_the_attributes(packed: Path) -> None:
    with SubjectFile(packed) as file:
        assert (file.subject, file.dataset_name, file.tr, file.format_version) == ("01", "small", 1.0, 2)
        assert (file.shape, file.voxels, file.total) == (SHAPE, half_mask().sum(), 40)
        assert file.volumes_per_run == {1: 20, 2: 20}
        assert [segment.start for segment in file.segments] == [0, 18]
        assert file.checksum.startswith("sha256:")


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.integers(0, 39), max_size=20))
def test_rows_in_any_order_and_number(packed: Path, rows: list[int]) -> None:
    with SubjectFile(packed) as file, h5py.File(packed, locking=False) as plain:
        expected = plain["volumes"][()][rows]
        np.testing.assert_array_equal(file.read(np.array(rows, dtype=np.int64)), expected)
        out = np.empty((len(rows), file.voxels), np.int16)
        assert file.read(np.array(rows, dtype=np.int64), out=out) is out
        np.testing.assert_array_equal(out, expected)


def test_rows_and_buffers_that_do_not_fit(packed: Path) -> None:
    with SubjectFile(packed) as file:
        for rows in ([-1], [40]):
            with pytest.raises(IndexError, match=r"0\.\.39"):
                file.read(np.array(rows))
        for out in (np.empty((1, file.voxels), np.int32), np.empty((2, file.voxels), np.int16)):
            with pytest.raises(ValueError, match="C-contiguous"):
                file.read(np.array([0]), out=out)


def test_many_readers_at_once(packed: Path) -> None:
    with SubjectFile(packed) as first, SubjectFile(packed) as second:
        np.testing.assert_array_equal(first.read(np.array([3])), second.read(np.array([3])))


def test_one_chunk_a_volume(packed: Path) -> None:
    with h5py.File(packed, locking=False) as file:
        assert file["volumes"].chunks == (1, half_mask().sum())
        assert file["volumes"].dtype == "<i2"
        assert file["statistics/std"].shape == (2, half_mask().sum())


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file; pack the subject: deepemotion pack DATASET --out "):
        SubjectFile(tmp_path / "sub-01.h5")


def test_not_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "sub-01.h5"
    for content in (b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="not an HDF5 file"):
            SubjectFile(path)
    with pytest.raises(UserError, match=r"a folder, not a packed subject; name the files in it: .*/sub-\*\.h5"):
        SubjectFile(tmp_path)


def test_truncated(small: SmallDataset) -> None:
    content = small.packed.read_bytes()
    for length in (len(content) - 1, len(content) // 2, 600):
        small.packed.write_bytes(content[:length])
        with pytest.raises(UserError, match="truncated; delete it and pack"):
            SubjectFile(small.packed)


def test_another_format_and_a_newer_one(small: SmallDataset) -> None:
    with h5py.File(small.packed, "r+") as file:
        file.attrs["format_version"] = 3
    with pytest.raises(UserError, match="format version 3, but this program reads up to 2; update"):
        SubjectFile(small.packed)
    with h5py.File(small.packed, "r+") as file:
        file.attrs["format"] = "something.else"
    with pytest.raises(UserError, match="not a packed subject"):
        SubjectFile(small.packed)


@pytest.mark.parametrize("name", ["volumes", "mask"])
def test_a_missing_part(small: SmallDataset, name: str) -> None:
    with h5py.File(small.packed, "r+") as file:
        del file[name]
    with pytest.raises(UserError, match="incomplete"):
        SubjectFile(small.packed)


@pytest.mark.parametrize(("name", "value"), [("tr", "two"), ("segments", "[{"), ("runs", "[]"), ("runs", None)])
def test_wrong_attributes(small: SmallDataset, name: str, value: str | None) -> None:
    with h5py.File(small.packed, "r+") as file:
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value
    with pytest.raises(UserError, match=r"sub-01\.h5: "):
        SubjectFile(small.packed)


def test_attributes_can_be_read_without_this_program(small: SmallDataset) -> None:
    with h5py.File(small.packed) as file:
        assert file.attrs["format"] == "deepemotion.subject"
        runs = json.loads(file.attrs["runs"])
        assert runs[0]["source"]["name"] == small.run_path(1).name


@pytest.mark.parametrize("name", ["mask", "affine", "movie_time", "scale", "statistics/mean", "crc32", "index_in_run"])
def test_a_changed_array_is_found(small: SmallDataset, name: str) -> None:
    assert problems(small.packed) == []
    with h5py.File(small.packed, "r+") as file:
        values = file[name][()]
        values.flat[-1] = not values.flat[-1] if values.dtype == bool else values.flat[-1] + 1
        file[name][...] = values
    assert len(problems(small.packed)) == 1


def test_a_changed_attribute_is_found(small: SmallDataset) -> None:
    with h5py.File(small.packed, "r+") as file:
        file.attrs["tr"] = 1.5
    with pytest.raises(UserError, match="its attributes are not those that were packed"):
        SubjectFile(small.packed)


def test_damage_anywhere_never_escapes_as_another_error(small: SmallDataset) -> None:
    content = small.packed.read_bytes()
    with h5py.File(small.packed) as file:
        chunks = [file["volumes"].id.get_chunk_info(i) for i in range(40)]
    damaged = small.root / "damaged.h5"
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(content), 150).tolist():
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        damaged.write_bytes(changed)
        try:
            found = problems(damaged)
        except UserError as error:
            found = [str(error)]
        if any(chunk.byte_offset <= place < chunk.byte_offset + chunk.size for chunk in chunks):
            assert "1 of 40 volumes are damaged" in found[0]


def test_finding_subjects(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        find_subjects(tmp_path / "none")
    with pytest.raises(UserError, match="holds no packed subject"):
        find_subjects(tmp_path)
    for name in ("sub-02.h5", "sub-01.h5", "sub-pilot.h5", ".partial-x-sub-03.h5", "notes.txt"):
        (tmp_path / name).touch()
    assert list(find_subjects(tmp_path)) == ["01", "02", "pilot"]
    assert subject_path(tmp_path, "01") == find_subjects(tmp_path)["01"]
    (tmp_path / "sub-a\nb.h5").touch()
    with pytest.raises(
        UserError, match=r"'sub-a\\nb\.h5': 'a\\nb' is not a subject's label.*rename or remove"
    ) as refused:
        find_subjects(tmp_path)
    assert "\n" not in str(refused.value)


def test_a_copy_under_another_subject_s_name_is_refused(small: SmallDataset) -> None:
    copy = subject_path(small.out, "02")
    copy.write_bytes(small.packed.read_bytes())
    SubjectFile.of(small.out, "01").close()
    with pytest.raises(UserError, match=r"sub-02\.h5: holds sub-01; pack sub-02 again"):
        SubjectFile.of(small.out, "02")
