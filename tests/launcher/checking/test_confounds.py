"""A run whose confounds were regressed out is verified and reproduced with the controls that it read."""

import shutil

import pytest
import trained_run

from deepemotion.subject_file.control_file import control_path
from deepemotion.subject_file.reader import subject_path
from launcher.checking.reproduction import find_finished, reproduce
from launcher.checking.run import verify


@pytest.fixture(scope="module")
def regressed(tiny_packed, tiny_labels, tmp_path_factory):
    """A run of one subject on data of its own, which a test may change last."""
    folder = tmp_path_factory.mktemp("regressed")
    for path in (subject_path(tiny_packed, "01"), control_path(tiny_packed, "01")):
        shutil.copy(path, folder)
    run = trained_run.make(folder / "run", folder, tiny_labels, overrides=["data.confounds=motion"], subjects=["01"])
    return run, folder


def test_it_is_right_and_trained_again_bit_for_bit(regressed, tmp_path):
    run, _ = regressed
    assert verify(run, volumes=True).problems == []
    again = reproduce(run, find_finished(run, "sub-01"), tmp_path / "again", lambda metrics: None)
    assert again.reproduced


def test_a_control_that_changed_since_or_is_damaged_is_named(regressed):
    run, folder = regressed
    path = control_path(folder, "01")
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    assert any("controls_sub-01.h5" in problem for problem in verify(run).problems)
    path.write_bytes(whole)
    trial = run.read_plan()[0]
    settings = run.trial(trial.name).settings
    text = settings.read_text()
    settings.write_text(text.replace('"confounds-01:motion": "sha256:', '"confounds-01:motion": "sha256:0'))
    found = verify(run).problems
    settings.write_text(text)
    assert any("controls_sub-01.h5: has changed since it was trained on" in problem for problem in found)
    assert any("the hash in the trial's name is not that of these settings and data" in problem for problem in found)
    path.unlink()
    checked = verify(run)
    assert checked.problems == []
    assert any("controls_sub-01.h5" in note and "cannot be reached" in note for note in checked.notes)
