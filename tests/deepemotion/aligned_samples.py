"""Trials with alignment on the tiny dataset, and their aligned samples."""

import pytest
import torch

from deepemotion import config_files
from deepemotion.alignment.align import align
from deepemotion.labels.table import Labels
from deepemotion.samples.load import load_opened
from deepemotion.settings.schema import make_trial, read_settings
from deepemotion.subject_file.folder import open_subjects

FOLD = 3
CPU = torch.device("cpu")
METHODS = pytest.mark.parametrize("method", ["srm", "procrustes"])


def trial(*overrides, subjects=("01", "02"), unseen=("03",), method="srm"):
    settings = ("split.protocol=run", f"split.fold={FOLD}", f"align.method={method}", "align.features=8")
    return make_trial(read_settings(config_files.find("demo"), [*settings, *overrides]), list(subjects), list(unseen))


def aligned(packed, labels, wanted, log=lambda line: None):
    """Return the samples of a trial, aligned."""
    labels = labels if isinstance(labels, Labels) else Labels.read(labels)
    with open_subjects(packed, wanted.all_subjects) as files:
        return align(load_opened(files, labels, wanted.data), files, wanted, CPU, log)


def dense(samples):
    return samples.dense(torch.arange(len(samples))).flatten(1).clone()
