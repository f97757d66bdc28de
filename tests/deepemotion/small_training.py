"""A training of seconds, and what of two of them has to be equal."""

from deepemotion import config_files
from deepemotion.settings.schema import make_trial, read_settings
from deepemotion.training.trial_directory import TrialDirectory

SMALL = ["train.epochs=6", "train.batch_size=16", "data.drop_overlaps=false"]


def trial(*overrides, subjects=("01",), unseen=()):
    return make_trial(read_settings(config_files.find("demo"), [*SMALL, *overrides]), list(subjects), list(unseen))


def finish(directory):
    """Write what a finished training of 6 epochs leaves, its predictions aside."""
    directory.write_epochs(
        [{"epoch": epoch, "accuracy/train": 1.0, "accuracy/validation": 0.5} for epoch in range(1, 7)]
    )
    directory.predictions.touch()
    scores = dict.fromkeys(("accuracy_train", "accuracy_validation", "majority_accuracy", "label_only_accuracy"), 0.5)
    counts = {"epochs": 6, "n_train": 30, "n_validation": 10}
    directory.write_result({**scores, **counts, "chance": 0.5, "classes": ["FEAR", "LOVE"]})


def comparable(directory):
    """Return the epochs' metrics without the time they took."""
    return [{k: v for k, v in row.items() if k != "time/epoch"} for row in TrialDirectory(directory).read_epochs()]
