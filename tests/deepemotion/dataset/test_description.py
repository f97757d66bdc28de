"""A dataset's description, the files it finds, and what it says of those it does not find."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepemotion import config_files
from deepemotion.dataset.description import Dataset
from deepemotion.errors import UserError

DESCRIPTION: dict[str, Any] = {
    "name": "small",
    "tr": 2.0,
    "subjects": ["01", "02"],
    "segments": [{"run": 1, "start": 0, "end": 20}, {"run": 2, "start": 16, "end": 40}],
    "files": {"bold": "sub-{subject}/run-{run:02d}.nii.gz"},
}


def changed(key: str, value: object) -> dict[str, Any]:
    description = copy.deepcopy(DESCRIPTION)
    *parents, last = key.split(".")
    target = description
    for parent in parents:
        target = target[int(parent) if parent.isdecimal() else parent]
    target[last] = value
    return description


def written(folder: Path, description: object) -> Path:
    path = folder / "dataset.yaml"
    path.write_text(yaml.safe_dump(description))
    return path


def test_studyforrest_is_the_real_dataset() -> None:
    dataset = Dataset.read(config_files.find("studyforrest", "datasets"))
    assert len(dataset.subjects) == 19
    assert "10" not in dataset.subjects
    assert [dataset.volumes(segment) for segment in dataset.segments] == [451, 441, 438, 488, 462, 439, 542, 338]
    # Masks and warps end alike: the whole rec- entity is what selects the BOLD files.
    assert "_rec-dico7Tad2grpbold7TadNL_run-" in dataset.files.bold
    assert [source.control for source in dataset.controls] == ["motion", "physio", "stimulus", "phantom"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("tr", 0, "tr: "),
        ("tr", float("inf"), "tr: "),
        ("subjects", [], "subjects: "),
        ("subjects", ["01", "01"], "each subject once"),
        ("files.bold", "run-{run}.nii", "names one file for several runs"),
        ("files.bold", "sub-{subject}.nii", "names one file for several runs"),
        ("files.mask", "mask-{subject}-{run}.nii", "files.mask: 'mask-{subject}-{run}.nii' cannot be filled in"),
        ("files.bold", "{subject}-{run:99999999999}.nii", "cannot be filled in"),
        ("files.bold", "{subject}-{run:{run}}.nii", "cannot be filled in"),
        ("files.bold", "{subject.__class__}-{run}.nii", "cannot be filled in"),
        ("controls", [{"control": "time", "kind": "motion", "file": "{run}"}], "controls.0.control: "),
        ("controls", [{"control": "motion", "kind": "dance", "file": "{run}"}], "controls.0.kind: "),
        (
            "controls",
            [{"control": "motion", "kind": "motion", "file": "{run}", "color": 1}],
            "controls.0.color: no such",
        ),
        ("controls", [{"control": "motion", "kind": "motion", "file": "{sub}"}], "'{sub}' cannot be filled in: use {"),
        (
            "controls",
            [{"control": "motion", "kind": "motion", "file": "a.txt"}],
            "names one file for several runs; use",
        ),
        (
            "controls",
            [{"control": "motion", "kind": "events", "file": "{run}"}],
            "motion is made of motion or timeseri",
        ),
        (
            "controls",
            [{"control": "motion", "kind": "motion", "file": "{run}", "columns": ["x"]}],
            "files of kind motion name none",
        ),
        (
            "controls",
            [{"control": "physio", "kind": "physio", "file": "{run}", "columns": ["x", "x"]}],
            "columns: each column once",
        ),
        ("subjects", [1], "subjects.0: 1 is a number: put the subject's label in quotes"),
        ("subjects", ["x/../../../name"], "subjects.0: 'x/../../../name' is not a subject's label"),
        ("subjects", ["a\tb"], "subjects.0: 'a\\tb' is not a subject's label"),
        ("name", "a\nb", "name: 'a\\nb': use 1 to 100 characters on one line"),
        ("name", "", "name: '': use 1 to 100 characters"),
        ("tr", True, "tr: must be a number, not true"),
        ("tr", 1e-300, "tr: 1e-300 s gives more than 1000000 volumes"),
        ("segments.1.end", 1e308, "segments.1.end: Input should be less than"),
        (
            "files.bold",
            "{subject}_ses-{session}_{run}.nii",
            "use {subject} and {run}; whatever else varies is written out",
        ),
        ("segments", [], "segments: "),
        ("segments.0.end", 0, "not after its start"),
        ("segments.0.start", float("nan"), "segments.0.start: "),
        ("segments.0.start", 17, "in the order of their start"),
        ("segments.0.end", 41, "in the order of their start and end"),
        ("segments.1.run", 1, "each run once"),
        ("segments.1.run", 0, "segments.1.run: "),
        ("sgements", [], "sgements: no such key; did you mean segments"),
        ("segments.0.strat", 0, "segments.0.strat: no such key; did you mean start?"),
        ("files.bold", "{subjct}.nii.gz", "use {subject} and {run}"),
        ("files.bold", "{}.nii.gz", "use {subject} and {run}"),
        ("files.bold", "{subject.nii.gz", "use {subject} and {run}"),
        ("files.bold", "{subject:02d}.nii.gz", "use {subject} and {run}"),
        ("files.bold", "{run.x}.nii.gz", "use {subject} and {run}"),
        ("files.mask", "{0}.nii.gz", "use {subject}"),
    ],
)
def test_a_wrong_description_is_refused_in_one_line_with_file_and_key(
    tmp_path: Path, key: str, value: object, said: str
) -> None:
    path = written(tmp_path, changed(key, value))
    with pytest.raises(UserError) as error:
        Dataset.read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_number_of_further_problems_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"\(and 1 more\)"):
        Dataset.read(written(tmp_path, changed("tr", -1) | {"subjects": []}))


def test_a_folder_describes_itself(tmp_path: Path) -> None:
    written(tmp_path, DESCRIPTION)
    assert Dataset.of_folder(tmp_path).name == "small"
    assert Dataset.of_folder(tmp_path, "studyforrest").name == "studyforrest"


def test_a_folder_without_description_says_how_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give --dataset studyforrest"):
        Dataset.of_folder(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        Dataset.of_folder(tmp_path / "missing")
    with pytest.raises(UserError, match="built-in ones are studyforrest"):
        Dataset.of_folder(tmp_path, "forrest")


def test_subjects_come_in_the_datasets_order() -> None:
    dataset = Dataset.model_validate(DESCRIPTION)
    assert dataset.select_subjects(None) == ["01", "02"]
    assert dataset.select_subjects(["02", "01", "02"]) == ["01", "02"]
    with pytest.raises(UserError, match="subject 10: not in dataset small, which has 01, 02"):
        dataset.select_subjects(["01", "10"])


def test_bold_of_a_run(tmp_path: Path) -> None:
    dataset = Dataset.model_validate(DESCRIPTION)
    path = tmp_path / "sub-01" / "run-02.nii.gz"
    with pytest.raises(UserError, match=r"run-02\.nii\.gz: no such file, which is run 2 of sub-01; .*--subjects"):
        dataset.bold(tmp_path, "01", 2)
    path.parent.mkdir()
    path.symlink_to("../.git/annex/objects/nowhere")
    with pytest.raises(UserError, match=r"datalad get -d .*sub-01/run-02\.nii\.gz$"):
        dataset.bold(tmp_path, "01", 2)
    path.unlink()
    path.touch()
    assert dataset.bold(tmp_path, "01", 2) == path


def test_the_common_mask_comes_before_the_runs_masks(tmp_path: Path) -> None:
    for name in ("common.nii.gz", "01-1.nii.gz", "01-2.nii.gz"):
        (tmp_path / name).touch()

    def masks(**patterns: str) -> list[str]:
        files = DESCRIPTION["files"] | patterns
        return [path.name for path in Dataset.model_validate(changed("files", files)).masks(tmp_path, "01")]

    assert masks() == []
    assert masks(run_mask="{subject}-{run}.nii.gz") == ["01-1.nii.gz", "01-2.nii.gz"]
    assert masks(run_mask="{subject}-{run}.nii.gz", mask="common.nii.gz") == ["common.nii.gz"]
    with pytest.raises(UserError, match="no such file"):
        masks(mask="missing.nii.gz")
    (tmp_path / "link.nii.gz").symlink_to(".git/annex/objects/nowhere")
    with pytest.raises(UserError, match=r"datalad get -d .*link\.nii\.gz$"):
        masks(mask="link.nii.gz")
