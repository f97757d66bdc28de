"""What is simulated for controls: which files, and how strongly they go with the emotions."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepemotion.dataset.description import Dataset
from deepemotion.errors import UserError
from deepemotion.packing.subject import PackRequest, pack_subject
from deepemotion.simulation.folder import simulate
from deepemotion.simulation.parameters import Parameters

TINY = Parameters(subjects=1, shape=(8, 8, 8), volumes_per_run=80)
# What the head's position has in common with an emotion comes with the delay of the brain's response, in volumes.
DELAY = 3


def simulated(root: Path, **changes: object) -> Path:
    simulate(root, Parameters(**{**vars(TINY), **changes}), jobs=1)
    return root


def share_explained(root: Path, control: str) -> float:
    """Return which share of a control's variance the true emotions explain, of its best column, over all runs."""
    dataset = Dataset.of_folder(root)
    story = pd.read_csv(root / "truth" / "story.tsv", sep="\t", keep_default_na=False)
    pattern = next(source.file for source in dataset.controls if source.control == control)
    values, emotions = [], []
    for segment in dataset.segments:
        path = root / pattern.format(subject="01", run=segment.run)
        emotion = story.emotion[(story.movie_time >= segment.start) & (story.movie_time < segment.end)].to_numpy()
        if control == "stimulus":
            frames = np.log(pd.read_csv(path, sep="\t").rms.to_numpy())
            values.append(frames.reshape(len(emotion), -1).mean(axis=1, keepdims=True))
            emotions.append(emotion)
        else:
            values.append(np.loadtxt(path)[DELAY:])
            emotions.append(emotion[:-DELAY])
    value, emotion = np.concatenate(values), np.concatenate(emotions)
    value = value[emotion != "NONE"]
    frame = pd.DataFrame(value).groupby(emotion[emotion != "NONE"]).transform("mean").to_numpy()
    return float((frame.var(axis=0) / value.var(axis=0)).max())


@pytest.mark.parametrize(("control", "option"), [("stimulus", "loudness"), ("motion", "motion")])
def test_emotions_differ_in_a_control_by_the_strength_asked_for(tmp_path: Path, control: str, option: str) -> None:
    explained = [share_explained(simulated(tmp_path / str(x), **{option: x}), control) for x in (0.0, 1.0, 4.0)]
    assert explained[0] < explained[1] < explained[2]
    assert explained[0] < 0.2
    assert explained[2] > 0.5


def test_every_control_is_packed_and_a_phantom_if_asked_for(tmp_path: Path) -> None:
    for phantom in (False, True):
        root = simulated(tmp_path / str(phantom), phantom=phantom)
        packed = pack_subject(PackRequest(Dataset.of_folder(root), root, "01", root / "packed"))
        names = {"global-signal", "motion", "physio", "stimulus"} | ({"phantom"} if phantom else set())
        assert set(packed.controls.names) == names
        assert packed.controls.left_out == {}


def test_controls_leave_the_brain_and_the_notes_as_they_are(tmp_path: Path) -> None:
    plain, other = simulated(tmp_path / "a"), simulated(tmp_path / "b", loudness=2.0, motion=1.0, phantom=True)
    paths = [path.relative_to(plain) for path in plain.rglob("*") if path.name.endswith((".nii.gz", ".csv"))]
    assert len(paths) > 20
    assert all((plain / path).read_bytes() == (other / path).read_bytes() for path in paths)


def test_a_folder_from_before_there_were_controls_is_up_to_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = simulated(tmp_path) / "simulation.json"
    recorded = json.loads(marker.read_text())
    for name in ("loudness", "motion", "phantom"):
        del recorded["parameters"][name]
    marker.write_text(json.dumps(recorded))
    simulated(tmp_path)
    assert "up to date" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"simulated with loudness 0\.0, not 1\.0"):
        simulated(tmp_path, loudness=1.0)


def test_adjacent_runs_have_the_same_sound_where_they_share_the_film(tmp_path: Path) -> None:
    root = simulated(tmp_path)
    first, second = (
        pd.read_csv(root / f"studyforrest-data-annotations/segments/aomovie/conf_audio_run-{run}_events.tsv", sep="\t")
        for run in (1, 2)
    )
    np.testing.assert_array_equal(first.rms[-160:], second.rms[:160])
    assert second.onset[0] == 0


@pytest.mark.parametrize("option", ["loudness", "motion"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), 1e9])
def test_a_strength_that_cannot_be_is_rejected(option: str, value: float) -> None:
    with pytest.raises(UserError, match=f"{option}: .* is not between 0 and 100"):
        Parameters(**{option: value})
