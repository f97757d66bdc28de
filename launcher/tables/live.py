"""The tables of a run while its trials train: each look reads only what has changed since the last one."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from deepemotion.training.trial_directory import TRIALS
from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory
from launcher.run.trial_files import EPOCH, TRAIN, VALIDATION
from launcher.tables.epochs import epochs_table
from launcher.tables.selection import Trials
from launcher.tables.trials import Known, trials_table

# Of a file: when it was written, its size and its number, which tell whether it is still the one that was read.
_Version = tuple[int, int, int]
_COLUMNS = ["trial", "training_set", "condition", "fold", "seed", EPOCH, TRAIN, VALIDATION]


@dataclass
class LiveTables:
    """A run's trials and their epochs. `fresh` has the epochs of the trials that the last look found changed."""

    run: RunDirectory
    epochs: pd.DataFrame = field(default_factory=pd.DataFrame)
    fresh: pd.DataFrame = field(default_factory=pd.DataFrame)
    trials: Trials = field(default_factory=lambda: Trials(pd.DataFrame()))
    _plan: _Version | None = None
    _versions: dict[str, _Version] = field(default_factory=dict)
    _known: Known = field(default_factory=Known)

    def look(self) -> list[PlannedTrial]:
        """Bring the tables up to date; return the plan. Raises UserError where a trial's file is damaged."""
        planned = _version(self.run.plan_file)
        if planned != self._plan:
            self._known.plan, self._plan = self.run.read_plan(), planned
        plan = self._known.plan
        first = not self._versions
        versions = {trial.name: version for trial in plan if (version := self._epochs_version(trial))}
        # Also those whose file is gone: of a trial that is done, that is an error.
        names = {name for name, _ in versions.items() ^ self._versions.items()}
        self.fresh = epochs_table(self.run, plan if first else [trial for trial in plan if trial.name in names])
        self.fresh = self.fresh.reindex(columns=_COLUMNS)
        kept = self.epochs[~self.epochs["trial"].isin(names)] if len(self.epochs) else self.epochs
        self.epochs = pd.concat([kept, self.fresh], ignore_index=True) if len(kept) else self.fresh
        for name in names:
            self._known.done.pop(name, None)
        counts = self.fresh["trial"].value_counts()
        self._known.epochs |= dict.fromkeys(names, 0) | dict(zip(counts.index.astype(str), counts, strict=True))
        self.trials = Trials(trials_table(self.run, self._known))
        self._versions = versions
        return plan

    def _epochs_version(self, trial: PlannedTrial) -> _Version | None:
        # Building a trial's many paths would take longer than to look at the one.
        return None if trial.permutation else _version(f"{self.run.path}/{TRIALS}/{trial.name}/epochs.tsv")


def _version(path: str | Path) -> _Version | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
