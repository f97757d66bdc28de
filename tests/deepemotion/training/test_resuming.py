"""A training that was killed, at any moment, goes on exactly where it was."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from small_training import comparable, trial

from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory


@pytest.fixture(scope="module")
def straight(tiny_packed, tiny_labels, tmp_path_factory):
    """The directory of a training of 6 epochs without interruption."""
    directory = TrialDirectory(tmp_path_factory.mktemp("straight") / "trial")
    train(trial(unseen=["02"]), tiny_packed, tiny_labels, directory, lambda metrics: None)
    return directory


KILLED = """
import os, signal, sys
from pathlib import Path
from deepemotion.settings.schema import Trial
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

def kill_after_three(metrics):
    if metrics["epoch"] == 3:
        os.kill(os.getpid(), signal.SIGKILL)

packed, labels, directory, trial = sys.argv[1:]
train(Trial.model_validate_json(trial), Path(packed), Path(labels), TrialDirectory(Path(directory)), kill_after_three)
"""


def kill(code, wanted, packed, labels, tmp_path):
    """Run a training that kills itself, and return its directory."""
    arguments = [str(packed), str(labels), str(tmp_path / "killed"), wanted.model_dump_json()]
    killed = subprocess.run([sys.executable, "-c", code, *arguments], check=False)
    assert killed.returncode == -signal.SIGKILL
    return TrialDirectory(tmp_path / "killed")


def test_a_killed_training_goes_on_metric_for_metric(straight, tiny_packed, tiny_labels, tmp_path):
    wanted = trial(unseen=["02"])
    resumed = kill(KILLED, wanted, tiny_packed, tiny_labels, tmp_path)
    assert len(resumed.read_epochs()) == 3
    assert not resumed.result.exists()
    new = []
    train(wanted, tiny_packed, tiny_labels, resumed, new.append)
    assert [metrics["epoch"] for metrics in new] == [4, 5, 6]
    assert comparable(resumed.path) == comparable(straight.path)
    one, other = (pd.read_parquet(folder.predictions) for folder in (straight, resumed))
    pd.testing.assert_frame_equal(one, other)
    assert "resumed after epoch 3" in resumed.log_file.read_text()


def test_a_training_killed_right_after_its_last_checkpoint_has_every_epoch_in_its_table(
    straight, tiny_packed, tiny_labels, tmp_path
):
    """Kills it before the last epoch, which the checkpoint has, comes into the table."""
    before_the_table = """
write = TrialDirectory.write_epochs
TrialDirectory.write_epochs = lambda self, history: (
    os.kill(os.getpid(), signal.SIGKILL) if len(history) == 6 else write(self, history)
)
packed,"""
    code = KILLED.replace('metrics["epoch"] == 3', "False").replace("\npacked,", before_the_table)
    wanted = trial(unseen=["02"])
    resumed = kill(code, wanted, tiny_packed, tiny_labels, tmp_path)
    assert len(resumed.read_epochs()) == 5
    train(wanted, tiny_packed, tiny_labels, resumed, lambda metrics: None)
    assert "resumed after epoch 6" in resumed.log_file.read_text()
    assert comparable(resumed.path) == comparable(straight.path)


def test_one_event_file_holds_every_epoch_once(straight, tiny_packed, tiny_labels, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    interrupted = TrialDirectory(tmp_path / "trial")

    def stop(metrics):
        if metrics["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(trial(), tiny_packed, tiny_labels, interrupted, stop)
    train(trial(), tiny_packed, tiny_labels, interrupted, lambda metrics: None)
    assert len(list(interrupted.path.glob("events.out.tfevents.*"))) == 1
    events = EventAccumulator(str(interrupted.path))
    events.Reload()
    tags = events.Tags()["scalars"]
    wanted = {"loss/train", "accuracy/train", "loss/validation", "accuracy/validation", "learning_rate", "time/epoch"}
    assert wanted <= set(tags)
    assert any(tag.startswith("emotion/") for tag in tags)
    assert [event.step for event in events.Scalars("accuracy/validation")] == [1, 2, 3, 4, 5, 6]
    assert "_hparams_/session_start_info" in events.summary_metadata


def test_lost_epochs_are_in_the_log(tiny_packed, tiny_labels, tmp_path):
    wanted, directory = trial("train.epochs=2"), TrialDirectory(tmp_path)
    train(wanted, tiny_packed, tiny_labels, directory, lambda metrics: None)
    assert "no checkpoint" not in directory.log_file.read_text()
    directory.result.unlink()
    for checkpoint in directory.checkpoints.iterdir():
        checkpoint.write_bytes(b"torn")
    new = []
    train(wanted, tiny_packed, tiny_labels, directory, new.append)
    assert [metrics["epoch"] for metrics in new] == [1, 2]
    assert "no checkpoint can be read: its epochs are lost" in directory.log_file.read_text()


def test_progress_survives_a_kill_at_any_moment(tiny_packed, tiny_labels, tmp_path):
    """Kills the training at three random moments; what is on disk is always whole, and the end is reached."""
    code = KILLED.replace('metrics["epoch"] == 3', "False")
    wanted = trial("train.epochs=12")
    arguments = [sys.executable, "-c", code, str(tiny_packed), str(tiny_labels), str(tmp_path / "trial")]
    rng = np.random.default_rng(0)
    for _ in range(3):
        with subprocess.Popen([*arguments, wanted.model_dump_json()]) as process:
            deadline = time.monotonic() + 60
            epochs = len(TrialDirectory(tmp_path / "trial").read_epochs())
            while process.poll() is None and time.monotonic() < deadline:
                if len(TrialDirectory(tmp_path / "trial").read_epochs()) > epochs:
                    time.sleep(rng.uniform(0, 0.3))
                    os.kill(process.pid, signal.SIGKILL)
                    break
                time.sleep(0.01)
    new = []
    train(wanted, tiny_packed, tiny_labels, TrialDirectory(tmp_path / "trial"), new.append)
    assert all(metrics["epoch"] > 1 for metrics in new), "it began anew"
    train(wanted, tiny_packed, tiny_labels, TrialDirectory(tmp_path / "straight"), new.append)
    assert comparable(tmp_path / "trial") == comparable(tmp_path / "straight")
