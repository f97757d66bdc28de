"""The data of a trial: its volumes, and which of them it trains, validates and tests on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from deepemotion.alignment.align import align
from deepemotion.labels.table import Labels
from deepemotion.samples import splits
from deepemotion.samples.control import load_control
from deepemotion.samples.load import load_opened
from deepemotion.samples.permutation import permuted
from deepemotion.samples.samples import Samples
from deepemotion.scoring.audit import Audit
from deepemotion.settings.schema import Trial
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.training.placement import fits_device, most_bytes


@dataclass(frozen=True)
class TrialData:
    """A trial's labelled volumes; `training`, `validation` and `unseen` are rows of `samples`.

    `unseen` are volumes of subjects that the trial does not train on. `audit` is what labels alone score on
    `validation`.
    """

    samples: Samples
    classes: tuple[str, ...]
    training: NDArray[np.int64]
    validation: NDArray[np.int64]
    unseen: NDArray[np.int64]
    audit: Audit

    @classmethod
    def load(
        cls,
        trial: Trial,
        files: Mapping[str, SubjectFile],
        labels: Labels,
        device: torch.device,
        log: Callable[[str], None],
        memory_bytes: int | None,
    ) -> "TrialData":
        """Load a trial's volumes as `load_samples` does, and split them.

        Raises UserError if the data does not fit the trial.
        """
        samples = load_samples(trial, files, labels, device, log, memory_bytes)
        table = samples.table
        # Subjects that are trained on come first.
        n_seen = int(np.isin(table.subject, trial.subjects).sum())
        training, validation = splits.split(table, trial.split, n_seen)
        # Unseen subjects are tested at validation moments: otherwise a model could be right because it has learned
        # the moment from other subjects.
        unseen = n_seen + np.flatnonzero(splits.moments(table, trial.split)[1][n_seen:])
        audit = Audit.of(table.movie_time, table.label, training, validation, len(labels.classes))
        return cls(samples, labels.classes, training, validation, unseen, audit)

    @property
    def sides(self) -> dict[str, NDArray[np.int64]]:
        """The rows of each side, by its name in tables."""
        return {"train": self.training, "validation": self.validation, "unseen": self.unseen}

    def audits(self) -> dict[str, float]:
        """Return what labels alone score on the validation volumes, and on those of unseen subjects if there are any.

        For the latter, the labels that other subjects have at that moment may give the answer away.
        """
        scores = self.audit.columns("validation")
        if len(self.unseen):
            table = self.samples.table
            audit = Audit.of(table.movie_time, table.label, self.training, self.unseen, len(self.classes))
            scores |= audit.columns("unseen")
        return scores


def load_samples(
    trial: Trial,
    files: Mapping[str, SubjectFile],
    labels: Labels,
    device: torch.device,
    log: Callable[[str], None],
    memory_bytes: int | None = None,
) -> Samples:
    """Load a trial's samples, with batches on `device`: of the brain or of its control, labels permuted if it says so.

    `files` are those of all its subjects. Where volumes are kept does not change them: those that do not fit into the
    host's `memory_bytes` beside everything else stay in their files, which must then stay open, and those that do not
    fit into the device's memory stay in the host's. Both are logged. Raises UserError if the data does not fit the
    trial.
    """
    if trial.data.control is None:
        samples = load_opened(files, labels, trial.data, most_bytes=most_bytes(trial, files, memory_bytes))
        samples = align(samples, files, trial, device, log)
    else:
        samples = load_control(files, labels, trial.data)
    samples = replace(samples, table=permuted(samples.table, trial.data))
    resident = fits_device(samples, trial, device)
    size = f"{samples.volume_bytes / 1e9:.2f} GB of volumes"
    if samples.streamed:
        log(f"{size} are streamed from their files: the trial may use {(memory_bytes or 0) / 1e9:.2f} GB of memory")
    elif not resident:
        log(f"{size} stay in the host's memory: they do not fit into the GPU's memory together with a training step")
    return samples.to(device, resident=resident)
