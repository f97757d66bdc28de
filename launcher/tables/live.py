"""The tables of a run while its trials train: each look reads only what has changed since the last one."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory
from launcher.run.trial_files import EPOCH, TRAIN, VALIDATION
from launcher.tables.epochs import epochs_table
from launcher.tables.selection import Trials
from launcher.tables.trials import trials_table

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
    _versions: dict[str, _Version] = field(default_factory=dict)
    _done: dict[str, dict[str, Any]] = field(default_factory=dict)

    def look(self) -> list[PlannedTrial]:
        """Bring the tables up to date; return the plan. Raises UserError where a trial's file is damaged."""
        plan = self.run.read_plan()
        versions = {trial.name: version for trial in plan if (version := self._version(trial))}
        # Also those whose file is gone: of a trial that is done, that is an error.
        names = {name for name, _ in versions.items() ^ self._versions.items()}
        changed = [trial for trial in plan if trial.name in names] if self._versions else plan
        self.fresh = epochs_table(self.run, changed).reindex(columns=_COLUMNS)
        kept = self.epochs[~self.epochs["trial"].isin(names)] if len(self.epochs) else self.epochs
        self.epochs = pd.concat([kept, self.fresh], ignore_index=True) if len(kept) else self.fresh
        for name in names:
            self._done.pop(name, None)
        self.trials = Trials(trials_table(self.run, self._done))
        self._versions = versions
        return plan

    def _version(self, trial: PlannedTrial) -> _Version | None:
        if trial.permutation:
            return None
        try:
            status = self.run.trial(trial.name).epochs.stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
