"""The simulated dataset as a folder: its tree, formats and parameters, and when it is made again."""

import dataclasses
import hashlib
import itertools
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepemotion import config_files
from deepemotion.commands import simulate as command
from deepemotion.dataset.description import Dataset
from deepemotion.errors import UserError
from deepemotion.simulation.folder import simulate
from deepemotion.simulation.parameters import Parameters
from deepemotion.simulation.story import EMOTIONS

REAL_VOLUMES = (451, 441, 438, 488, 462, 439, 542, 338)
SMALL = Parameters(subjects=2, shape=(10, 9, 8), volumes_per_run=17, seed=3)


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def small_digests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("small")
    simulate(root, SMALL, jobs=1)
    return digests(root)


def test_real_volume_counts_give_the_real_segments_subjects_and_files() -> None:
    real = Dataset.read(config_files.find("studyforrest", "datasets"))
    simulated = Parameters(volumes_per_run=REAL_VOLUMES).dataset()
    assert simulated.segments == real.segments
    assert simulated.subjects == real.subjects
    assert simulated.files == real.files


@given(st.lists(st.integers(17, 1000), min_size=8, max_size=8))
def test_adjacent_runs_share_16_seconds_and_have_the_volumes_asked_for(volumes: list[int]) -> None:
    dataset = Parameters(volumes_per_run=tuple(volumes)).dataset()
    assert [dataset.volumes(segment) for segment in dataset.segments] == volumes
    for before, after in itertools.pairwise(dataset.segments):
        assert before.end - after.start == 16
        assert after.start > before.start


def test_more_subjects_than_the_real_dataset_continue_with_21() -> None:
    assert Parameters(subjects=21).dataset().subjects[-3:] == ["20", "21", "22"]


def test_every_file_of_the_description_is_there_in_the_real_formats(tiny_dataset: Path) -> None:
    dataset = Dataset.of_folder(tiny_dataset)
    assert dataset.subjects == ["01", "02", "03"]
    common = np.asarray(nib.load(dataset.masks(tiny_dataset, "01")[0]).dataobj) > 0
    without_common = dataset.model_copy(update={"files": dataset.files.model_copy(update={"mask": None})})
    for subject in dataset.subjects:
        run_masks = [np.asarray(nib.load(path).dataobj) > 0 for path in without_common.masks(tiny_dataset, subject)]
        assert len(run_masks) == 8
        assert all((mask | ~common).all() for mask in run_masks)
        for segment in dataset.segments:
            image = nib.load(dataset.bold(tiny_dataset, subject, segment.run))
            assert image.shape == (12, 14, 10, 20)
            assert image.get_data_dtype() == np.int16
            assert image.header.get_zooms() == pytest.approx((1.2, 1.2, 1.2, 2.0))
            assert image.header.get_xyzt_units() == ("mm", "sec")
            np.testing.assert_allclose(np.diag(image.affine), [1.2, 1.2, 1.2, 1.0], rtol=1e-6)
            assert image.dataobj.slope == 1
            assert image.dataobj.inter == 0
    assert common[:, :, -1].any()
    assert not common[:, :, 0].all()


def test_truth_holds_a_template_and_a_map_of_each_subject(tiny_dataset: Path) -> None:
    expected = {f"{owner}{emotion}.nii.gz" for owner in ("", "sub-01_", "sub-02_", "sub-03_") for emotion in EMOTIONS}
    assert {path.name for path in (tiny_dataset / "truth").glob("*.nii.gz")} == expected
    for name in expected:
        assert nib.load(tiny_dataset / "truth" / name).get_fdata().max() > 0.3


def test_number_of_processes_changes_no_bit(tmp_path: Path, small_digests: dict[str, str]) -> None:
    simulate(tmp_path / "two", SMALL, jobs=2)
    assert digests(tmp_path / "two") == small_digests


def test_another_seed_gives_other_data(tmp_path: Path, small_digests: dict[str, str]) -> None:
    simulate(tmp_path / "other", dataclasses.replace(SMALL, seed=4), jobs=1)
    other = digests(tmp_path / "other")
    assert other.keys() == small_digests.keys()
    same = {name for name in other if other[name] == small_digests[name]}
    # Masks of so few voxels may happen to be the same.
    assert {name for name in same if "mask" not in name.lower()} == set()


def test_finished_dataset_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    simulate(tmp_path, SMALL, jobs=1)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    simulate(tmp_path, dataclasses.replace(SMALL, volumes_per_run=(17,) * 8), jobs=1)
    assert "up to date" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_killed_simulation_is_completed(tmp_path: Path, small_digests: dict[str, str]) -> None:
    simulate(tmp_path, SMALL, jobs=1)
    bold = SMALL.dataset().bold(tmp_path, "02", 5)
    bold.unlink()
    (bold.parent / ".partial-abc-bold.nii.gz").write_bytes(b"half a file")
    marker = json.loads((tmp_path / "simulation.json").read_text())
    (tmp_path / "simulation.json").write_text(json.dumps({**marker, "finished": False}))
    simulate(tmp_path, SMALL, jobs=1)
    assert digests(tmp_path) == small_digests


def test_failure_while_simulating_leaves_the_dataset_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_digests: dict[str, str]
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("deepemotion.simulation.nifti.igzip.IGzipFile.write", full_disk)
        with pytest.raises(UserError, match="No space left"):
            simulate(tmp_path, SMALL, jobs=1)
    assert json.loads((tmp_path / "simulation.json").read_text())["finished"] is False
    assert not list(tmp_path.rglob(".partial-*"))
    simulate(tmp_path, SMALL, jobs=1)
    assert digests(tmp_path) == small_digests


def test_folder_simulated_otherwise_is_refused(tmp_path: Path) -> None:
    simulate(tmp_path, SMALL, jobs=1)
    with pytest.raises(UserError, match=r"simulated with signal 1\.0, not 2\.0"):
        simulate(tmp_path, dataclasses.replace(SMALL, signal=2.0), jobs=1)


@pytest.mark.parametrize("content", ["not json", "[]", "{}", '{"version": 1, "parameters": 3}'])
def test_unreadable_marker_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "simulation.json").write_text(content)
    with pytest.raises(UserError, match=r"simulation\.json"):
        simulate(tmp_path, SMALL, jobs=1)


def test_folder_of_something_else_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        simulate(tmp_path, SMALL, jobs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UserError, match="is a file"):
        simulate(tmp_path / "thesis.tex", SMALL, jobs=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subjects": 0}, "subjects"),
        ({"shape": "33,44"}, "shape"),
        ({"shape": "33,44,x"}, "shape"),
        ({"shape": "33,44,7"}, "shape"),
        ({"shape": "33,44,100000"}, "shape"),
        ({"volumes_per_run": "16"}, "volumes-per-run: 16"),
        ({"volumes_per_run": "60,60"}, "volumes-per-run: 2 numbers"),
        ({"volumes_per_run": ""}, "volumes-per-run"),
        ({"signal": -1.0}, "signal"),
        ({"signal": float("nan")}, "signal"),
        ({"idiosyncrasy": 1.5}, "idiosyncrasy"),
        ({"seed": -1}, "seed"),
        ({"jobs": 0}, "jobs"),
    ],
)
def test_bad_options_are_named_and_nothing_is_written(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        command.simulate(tmp_path / "out", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
