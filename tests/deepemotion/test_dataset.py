"""A dataset's description, the files it finds, and what it says of those it does not find."""

import pytest
import yaml

from deepemotion import shipped
from deepemotion.dataset import Dataset, parse_subjects
from deepemotion.errors import UserError

SMALL = {
    "name": "small",
    "tr": 2.0,
    "subjects": ["01", "02"],
    "segments": [{"run": 1, "start": 0, "end": 40}, {"run": 2, "start": 30, "end": 70}],
    "files": {"bold": "sub-{subject}/run-{run:02d}.nii.gz", "mask": "mask.nii.gz"},
}


def write(folder, **changes):
    (folder / "dataset.yaml").write_text(yaml.safe_dump({**SMALL, **changes}))
    return folder


def test_studyforrest_ships():
    dataset = Dataset.read(shipped.find("studyforrest", "datasets"))
    assert len(dataset.subjects) == 19
    assert "10" not in dataset.subjects
    assert [dataset.volumes(segment) for segment in dataset.segments] == [451, 441, 438, 488, 462, 439, 542, 338]
    assert "rec-dico7Tad2grpbold7TadNL_run-" in dataset.files.bold


def test_a_run_is_found(tmp_path):
    dataset = Dataset.of_folder(write(tmp_path))
    (tmp_path / "sub-02").mkdir()
    (tmp_path / "sub-02" / "run-01.nii.gz").touch()
    assert dataset.bold(tmp_path, "02", 1) == tmp_path / "sub-02" / "run-01.nii.gz"
    with pytest.raises(UserError, match=r"run-02\.nii\.gz: no such file"):
        dataset.bold(tmp_path, "02", 2)


def test_a_dangling_annex_link_is_named_with_the_line_that_fetches_it(tmp_path):
    dataset = Dataset.of_folder(write(tmp_path))
    link = tmp_path / "mask.nii.gz"
    link.symlink_to(".git/annex/objects/nowhere")
    with pytest.raises(UserError) as error:
        dataset.masks(tmp_path, "01")
    assert f"datalad get -d {tmp_path} {link}" in str(error.value)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"tr": 0}, "tr"),
        ({"subjects": []}, "subjects"),
        ({"segments": [{"run": 1, "start": 10, "end": 10}]}, "segments.0"),
        ({"segments": SMALL["segments"][::-1]}, "in the order of their start"),
        ({"files": {"bold": "sub-{subjects}.nii"}}, "files.bold"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_description_names_file_and_key(tmp_path, changes, key):
    with pytest.raises(UserError) as error:
        Dataset.of_folder(write(tmp_path, **changes))
    assert "dataset.yaml" in str(error.value)
    assert key in str(error.value)


def test_a_folder_without_description_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match="say --dataset studyforrest"):
        Dataset.of_folder(tmp_path)
    with pytest.raises(UserError, match="those that do: studyforrest"):
        Dataset.of_folder(tmp_path, "forrest")


def test_subjects_are_written_as_people_write_them():
    assert parse_subjects("1,2,5-7") == ["01", "02", "05", "06", "07"]
    assert parse_subjects("sub-03, 03,11") == ["03", "11"]
    assert parse_subjects("pilot") == ["pilot"]
    for wrong in ("1,,2", "5-3"):
        with pytest.raises(UserError, match="subjects"):
            parse_subjects(wrong)
