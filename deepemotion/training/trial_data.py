"""What a trial trains and tests on: its volumes, and which rows of them are on which side."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from deepemotion.labels.table import Labels
from deepemotion.samples import splits
from deepemotion.samples.permutation import permuted
from deepemotion.samples.samples import Samples
from deepemotion.samples.splits import Audit
from deepemotion.settings.schema import Trial
from deepemotion.training.placement import place


@dataclass(frozen=True)
class TrialData:
    """A trial's labelled volumes; `training`, `validation` and `unseen` are rows of `samples`.

    `unseen` are volumes of subjects that the trial leaves out. `audit` says what labels alone score on `validation`.
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
        packed: Path,
        labels: Labels,
        device: torch.device,
        tell: Callable[[str], None],
        memory_bytes: int | None,
    ) -> "TrialData":
        """Load, permute and split a trial's volumes; `tell` hears what is worth noting in its log.

        Raises UserError where the data does not fit the trial.
        """
        samples = place(trial, packed, labels, device, tell, memory_bytes)
        if trial.data.permutation:
            samples.table = permuted(samples.table, trial.data)
        table = samples.table
        # Subjects that are trained on come first.
        n_seen = int(np.isin(table.subject, trial.subjects).sum())
        training, validation = splits.split(table, trial.split, n_seen)
        # Unseen subjects are tested at validation moments: else a model could be right by having learned the moment
        # from other subjects.
        unseen = n_seen + np.flatnonzero(splits.moments(table, trial.split)[1][n_seen:])
        audit = splits.audit(table.movie_time, table.label, training, validation, len(labels.classes))
        return cls(samples, labels.classes, training, validation, unseen, audit)

    @property
    def sides(self) -> dict[str, NDArray[np.int64]]:
        """The rows of each side, by its name in tables."""
        return {"train": self.training, "validation": self.validation, "unseen": self.unseen}

    def audits(self) -> dict[str, float]:
        """Return what labels alone score: on the validation volumes, and on those of unseen subjects if there are any.

        To the latter, other subjects' labels of the moment may give the answer away.
        """
        found = {name if name == "chance" else f"{name}_accuracy": value for name, value in asdict(self.audit).items()}
        if len(self.unseen):
            table = self.samples.table
            audit = splits.audit(table.movie_time, table.label, self.training, self.unseen, len(self.classes))
            found |= {"label_only_accuracy_unseen": audit.label_only, "majority_accuracy_unseen": audit.majority}
        return found
