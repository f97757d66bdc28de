"""A model of a control has no voxels to explain, and no brains to be tested on."""

import pytest
from small_training import trial

from deepemotion.errors import UserError
from deepemotion.trained.further_subjects import evaluate
from deepemotion.trained.trained import load_trained
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory


def test_a_control_is_neither_explained_nor_evaluated_on_brains(tiny_packed, tiny_labels, tmp_path):
    directory = TrialDirectory(tmp_path / "t")
    train(trial("data.control=time", "model.name=linear"), tiny_packed, tiny_labels, directory, lambda metrics: None)
    with pytest.raises(UserError, match="trained on the control time, not on a brain"):
        load_trained(directory, tiny_packed, tiny_labels)
    with pytest.raises(UserError, match="trained on the control time, not on a brain"):
        evaluate(directory, tiny_packed, tiny_labels, ["03"])
