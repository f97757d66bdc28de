"""`data.confounds` as it is written: by names in any order, and not for what has no voxels."""

import pytest
from pydantic import ValidationError

from deepemotion import config_files
from deepemotion.errors import UserError
from deepemotion.settings.control_training import control_settings
from deepemotion.settings.schema import DataSettings, TrialSettings, described, read_settings


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("[physio, motion]", ("motion", "physio")),
        ("motion+physio+motion", ("motion", "physio")),
        ("global-signal", ("global-signal",)),
        ("none", ()),
        ("[]", ()),
    ],
)
def test_the_same_confounds_are_the_same_setting_however_they_are_written(written, names):
    assert read_settings(config_files.find("demo"), [f"data.confounds={written}"]).data.confounds == names


@pytest.mark.parametrize("written", ["loudness", "motion+", "3", "[motion, 1]"])
def test_what_is_no_control_is_refused_in_one_line(written):
    with pytest.raises(UserError, match=r"data\.confounds") as refused:
        read_settings(config_files.find("demo"), [f"data.confounds={written}"])
    assert "\n" not in str(refused.value)


def test_a_control_has_no_voxels_to_regress_anything_out_of():
    with pytest.raises(UserError, match="control=time has no voxels that confounds=motion could be regressed out of"):
        read_settings(config_files.find("demo"), ["data.control=time", "data.confounds=motion"])
    with pytest.raises(ValidationError):
        DataSettings(control="motion", confounds=("motion",))


def test_the_controls_of_a_brain_without_confounds_are_those_of_any_brain():
    brain = TrialSettings(data=DataSettings(confounds=("motion", "time")))
    assert control_settings(brain, "motion", "linear") == control_settings(TrialSettings(), "motion", "linear")


def test_a_trial_without_confounds_is_what_it_was_before_there_were_any():
    plain = described(TrialSettings().model_dump(mode="json"))
    assert "confounds" not in plain["data"]
    regressed = described(TrialSettings(data=DataSettings(confounds=("motion",))).model_dump(mode="json"))
    assert regressed["data"].pop("confounds") == ["motion"]
    assert regressed == plain
