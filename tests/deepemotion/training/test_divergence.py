"""A training whose loss is no number any more ends at once, and says why."""

import pytest
import torch
from small_training import SMALL, trial

from deepemotion.errors import UserError
from deepemotion.training.checkpoints import read
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory


@pytest.mark.parametrize("changes", [(), ("model.name=linear",), ("train.loss=soft",)])
def test_a_diverged_training_fails_at_its_epoch_and_leaves_no_result(tiny_packed, tiny_labels, tmp_path, changes):
    directory = TrialDirectory(tmp_path / "t")
    wanted = trial("train.learning_rate=1e30", "train.weight_decay=1e3", *changes)
    epochs = []
    with pytest.raises(UserError, match=r"diverged at epoch \d+ \(.*loss is (nan|inf)\); lower train\.learning_rate"):
        train(wanted, tiny_packed, tiny_labels, directory, epochs.append)
    assert len(epochs) == len(directory.read_epochs()) < 6
    assert not directory.result.exists()


def test_the_command_says_it_in_one_line(command, tiny_packed, tiny_labels, tmp_path):
    words = ["train", tmp_path / "trial", "--data", tiny_packed, "--labels", tiny_labels, "--config", "demo"]
    changes = [*SMALL, "train.learning_rate=1e30"]
    done = command("deepemotion", *words, "--subjects", "1", *(word for text in changes for word in ("--set", text)))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: diverged at epoch ")


def test_a_checkpoint_of_a_diverged_training_of_an_earlier_version_is_not_trained_on(
    tiny_packed, tiny_labels, tmp_path
):
    directory = TrialDirectory(tmp_path / "t")
    wanted = trial("train.epochs=2", "model.name=linear")
    train(wanted, tiny_packed, tiny_labels, directory, lambda metrics: None)
    directory.result.unlink()
    state = read(directory.checkpoints / "last.pt")
    state["history"][1]["loss/train"] = float("nan")
    torch.save(state, directory.checkpoints / "last.pt")
    with pytest.raises(UserError, match=r"diverged at epoch 2 \(loss is nan\)"):
        train(wanted, tiny_packed, tiny_labels, directory, lambda metrics: None)
