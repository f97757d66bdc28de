"""What other processes do to a trial's folder while it trains, and what killed ones leave in it."""

import shutil

import pytest
from small_training import trial

from deepemotion.errors import UserError
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

WANTED = trial("train.epochs=3", "model.name=linear")


def test_temporary_files_of_killed_trainings_do_not_stay_in_a_finished_trial(tiny_packed, tiny_labels, tmp_path):
    directory = TrialDirectory(tmp_path / "t")

    def leave(metrics):
        for folder in (directory.path, directory.checkpoints):
            (folder / f".partial-{metrics['epoch']}-last.pt").touch()

    train(WANTED, tiny_packed, tiny_labels, directory, leave)
    assert not list(directory.path.glob("**/.partial-*"))


def delete_folder(directory):
    shutil.rmtree(directory.path)


def delete_events(directory):
    next(directory.path.glob("events.out.tfevents.*")).unlink()


@pytest.mark.parametrize("delete", [delete_folder, delete_events])
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_deleted_folder_is_one_line_and_the_next_training_has_all_epochs(
    tiny_packed, tiny_labels, tmp_path, delete, epoch
):
    directory = TrialDirectory(tmp_path / "t")

    def interfere(metrics):
        if metrics["epoch"] == epoch:
            delete(directory)

    with pytest.raises(
        UserError, match=r"/t: deleted, or used by another training, while this one ran; start it again"
    ):
        train(WANTED, tiny_packed, tiny_labels, directory, interfere)
    assert not directory.result.exists()
    train(WANTED, tiny_packed, tiny_labels, directory, lambda metrics: None)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory.path))
    events.Reload()
    assert [event.step for event in events.Scalars("accuracy/validation")] == [1, 2, 3]
    assert [row["epoch"] for row in directory.read_epochs()] == [1, 2, 3]


def test_a_trial_of_a_run_leaves_no_event_file_which_would_be_one_of_too_many(tiny_packed, tiny_labels, tmp_path):
    directory = TrialDirectory(tmp_path / "t")

    def stop(metrics):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(WANTED, tiny_packed, tiny_labels, directory, stop)
    assert list(directory.path.glob("*tfevents*"))
    train(WANTED, tiny_packed, tiny_labels, directory, lambda metrics: None, event_file=False)
    assert not list(directory.path.glob("*tfevents*"))
    assert len(directory.read_epochs()) == 3
