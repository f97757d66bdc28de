"""The settings of a control's trial."""

import pytest

from deepemotion.errors import UserError
from deepemotion.models.registry import REGISTRY
from deepemotion.settings.control_training import CONTROL_TRAINING, control_settings
from deepemotion.settings.schema import TrialSettings

BRAIN = {
    "data": {"lag_s": 6.0, "permutation": 3, "normalisation": "psc", "crop": True, "downsample": 2},
    "split": {"protocol": "run", "fold": 2},
    "model": {"name": "resnet3d-10"},
    "train": {"seed": 5, "learning_rate": 1e-4, "class_weights": "balanced", "compile": True},
    "augment": {"shift_voxels": 2},
    "align": {"method": "srm"},
}


def test_a_control_keeps_volumes_labels_and_split_of_the_brains_trial() -> None:
    brain = TrialSettings.model_validate(BRAIN)
    control = control_settings(brain, "motion", "linear")
    assert control.split == brain.split
    assert control.data.control == "motion"
    kept = ("timing", "lag_s", "drop_overlaps", "permutation", "permute")
    assert all(getattr(control.data, name) == getattr(brain.data, name) for name in kept)
    assert control.train.seed == 5


def test_trials_that_differ_in_what_is_the_brains_alone_share_a_control() -> None:
    plain = {"data": {"lag_s": 6.0, "permutation": 3}, "split": BRAIN["split"], "train": {"seed": 5}}
    both = [control_settings(TrialSettings.model_validate(one), "time", "mlp") for one in (BRAIN, plain)]
    assert both[0] == both[1]


def test_only_models_that_need_no_neighbours_of_a_voxel_train_controls() -> None:
    assert set(CONTROL_TRAINING) == {name for name, entry in REGISTRY.items() if entry.for_controls}
    with pytest.raises(UserError, match="control_model=cnn3d: controls are trained with linear or mlp"):
        control_settings(TrialSettings(), "time", "cnn3d")
