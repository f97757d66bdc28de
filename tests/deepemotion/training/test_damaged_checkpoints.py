"""A training whose checkpoints are damaged, or another training's, resumes from an intact one or says what is wrong."""

import shutil

import pytest
import torch
from small_training import comparable, trial

from deepemotion.errors import UserError
from deepemotion.training.checkpoints import Checkpoints, read
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

WANTED = trial("train.epochs=4", "model.name=linear")


@pytest.fixture(scope="module")
def stopped(tiny_packed, tiny_labels, tmp_path_factory):
    """Return the folders of a training of 4 epochs: a finished one, and one that was stopped after epoch 3."""
    folders = [tmp_path_factory.mktemp("training") / name for name in ("finished", "stopped")]

    def stop(metrics):
        if metrics["epoch"] == 3:
            raise KeyboardInterrupt

    train(WANTED, tiny_packed, tiny_labels, TrialDirectory(folders[0]), lambda metrics: None)
    with pytest.raises(KeyboardInterrupt):
        train(WANTED, tiny_packed, tiny_labels, TrialDirectory(folders[1]), stop)
    return folders


@pytest.fixture
def directory(stopped, tmp_path):
    """Return a copy of the stopped training."""
    shutil.copytree(stopped[1], tmp_path / "trial")
    return TrialDirectory(tmp_path / "trial")


def test_a_damaged_last_checkpoint_resumes_from_the_one_before_to_the_same_end(
    directory, stopped, tiny_packed, tiny_labels
):
    last = directory.checkpoints / "last.pt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    epochs = []
    train(WANTED, tiny_packed, tiny_labels, directory, lambda metrics: epochs.append(metrics["epoch"]))
    assert epochs == [3, 4]
    assert comparable(directory.path) == comparable(stopped[0])
    log = directory.log_file.read_text()
    assert f"removed {last}: its content does not match its checksum" in log
    assert "previous.pt is the last checkpoint that can be read: epochs after 2 are lost" in log


def test_a_checkpoint_of_an_earlier_version_is_resumed(directory, stopped, tiny_packed, tiny_labels):
    for name in ("last.pt", "previous.pt"):
        state = read(directory.checkpoints / name)
        del state["training"]
        torch.save(state, directory.checkpoints / name)
    epochs = []
    train(WANTED, tiny_packed, tiny_labels, directory, lambda metrics: epochs.append(metrics["epoch"]))
    assert epochs == [4]
    assert comparable(directory.path) == comparable(stopped[0])


def _without(name):
    return lambda state: state.pop(name)


def _set(*path, to):
    def change(state):
        for key in path[:-1]:
            state = state[key]
        state[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_without("model"), "no 'model' in it"),
        (_without("optimiser"), "no 'optimiser' in it"),
        (_without("history"), "no 'history' in it"),
        (_without("rng"), "no 'rng' in it"),
        (_set("rng", to=torch.zeros(3)), "ByteTensor"),
        (_set("training", to="0" * 64), "other settings or other data"),
        (_set("epoch", to=9), "numbered 9"),
        (_set("history", to=[]), "0 epochs of 4"),
        (_set("history", to=[{}, {}, {}]), "no 'epoch' in it"),
        (_set("history", 1, "epoch", to=3), "the metrics of epoch 2 are those of epoch 3"),
        (_set("history", 1, "time/epoch", to="long"), "a metric of epoch 2 is no number"),
        (_set("model", to={}), "the model has mean_F, the checkpoint has not"),
        (_set("model", to=[1]), "not a checkpoint of this training"),
        (_set("model", "mean_F", to=torch.zeros(2)), "mean_F is (2,), in the model (1680,)"),
        (_set("model", "further", to=torch.zeros(2)), "it has further, the model has not"),
        (_set("optimiser", to={}), "no 'param_groups' in it"),
        (_set("optimiser", "param_groups", to=[]), "other parameters"),
        (_set("optimiser", "param_groups", 0, "lr", to=0.5), "lr 0.5"),
        (lambda state: state["optimiser"]["param_groups"][0].pop("eps"), "its optimiser has no eps"),
        (_set("optimiser", "state", 0, "exp_avg", to=torch.zeros(2)), "exp_avg of its optimiser is (2,)"),
    ],
)
def test_a_checkpoint_with_a_wrong_state_is_one_line(directory, tiny_packed, tiny_labels, change, why):
    files = Checkpoints(directory.checkpoints)
    state = read(files.last)
    change(state)
    files.save(state, best=False)
    with pytest.raises(UserError) as error:
        train(WANTED, tiny_packed, tiny_labels, directory, lambda metrics: None)
    message = str(error.value)
    assert message.startswith(f"{files.last}: not a checkpoint of this training (")
    assert why in message
    assert "\n" not in message


def test_the_checkpoint_of_another_model_is_one_line(directory, tiny_packed, tiny_labels, tmp_path):
    other = TrialDirectory(tmp_path / "other")
    train(trial("train.epochs=4"), tiny_packed, tiny_labels, other, lambda metrics: None)
    shutil.copy(other.checkpoints / "previous.pt", directory.checkpoints / "last.pt")
    with pytest.raises(UserError, match="written with other settings or other data"):
        train(WANTED, tiny_packed, tiny_labels, directory, lambda metrics: None)
    # As a version wrote it that did not say to which training a checkpoint belongs.
    state = read(other.checkpoints / "previous.pt")
    del state["training"]
    torch.save(state, directory.checkpoints / "last.pt")
    with pytest.raises(UserError, match="the model has mean_F, the checkpoint has not"):
        train(WANTED, tiny_packed, tiny_labels, directory, lambda metrics: None)
