"""A training of seconds, and what of two of them has to be equal."""

from deepemotion import config_files
from deepemotion.settings.schema import make_trial, read_settings
from deepemotion.training.trial_directory import TrialDirectory

SMALL = ["train.epochs=6", "train.batch_size=16", "data.drop_overlaps=false"]


def trial(*overrides, subjects=("01",), unseen=()):
    return make_trial(read_settings(config_files.find("demo"), [*SMALL, *overrides]), list(subjects), list(unseen))


def comparable(directory):
    """Return the epochs' metrics without the time they took."""
    return [{k: v for k, v in row.items() if k != "time/epoch"} for row in TrialDirectory(directory).read_epochs()]
