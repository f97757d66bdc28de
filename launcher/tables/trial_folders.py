"""Trials as runs of TensorBoard, for those who ask for some: all metrics over epochs, and a row of HParams for each."""

import fnmatch
from dataclasses import dataclass, field
from pathlib import Path

from deepemotion.errors import UserError
from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory
from launcher.run.trial_files import EPOCH, read_epochs
from launcher.tables import hparams
from launcher.tables.event_files import Events
from launcher.tables.selection import Trials
from launcher.tables.trials import Known, trials_table


def chosen(run: RunDirectory, pattern: str) -> list[PlannedTrial]:
    """Return the trials whose names have `pattern` in them, in which * is any text. Raises UserError for none."""
    plan = run.read_plan()
    trials = [trial for trial in plan if fnmatch.fnmatchcase(trial.name, f"*{pattern}*")]
    if not trials:
        raise UserError(f"--trials {pattern}: no trial of {run.path} has this in its name, such as {plan[0].name}")
    return trials


@dataclass
class TrialFolders:
    """Event files of trials in `folder`, one folder for each; `update` adds what is new."""

    run: RunDirectory
    trials: list[PlannedTrial]
    folder: Path
    _files: dict[str, Path] = field(default_factory=dict)
    _epochs: dict[str, int] = field(default_factory=dict)
    _known: Known = field(default_factory=Known)
    _rows: set[str] = field(default_factory=set)

    def update(self) -> None:
        """Write what is new of each trial. Raises UserError where a file of one is damaged."""
        self._known.plan = self.trials
        table = trials_table(self.run, self._known)
        rows = hparams.trial_rows(self.trials, Trials(table))
        if not any(self.folder.iterdir()):
            events = Events()
            hparams.add_columns(events, rows, hparams.COLUMNS)
            events.replace(self.folder)
        by_name = {row.name: row for row in rows if row.metrics}
        for trial in self.trials:
            self._add(trial, by_name.get(trial.name))

    def _add(self, trial: PlannedTrial, row: hparams.Row | None) -> None:
        known = self._epochs.get(trial.name, 0)
        if known == trial.trial.train.epochs and trial.name in self._rows:
            return
        epochs = read_epochs(self.run.trial(trial.name), trial, done=False)
        # Where it is trained anew, what is drawn of it has to be forgotten.
        start = known if known <= len(epochs) else 0
        events = Events()
        for metrics in epochs[start:]:
            events.scalars(int(metrics[EPOCH]), {tag: value for tag, value in metrics.items() if tag != EPOCH})
        if row is not None and trial.name not in self._rows:
            self._rows.add(trial.name)
            hparams.add_row(events, row)
        if events and start:
            events.append(self._files[trial.name])
        elif events:
            self._files[trial.name] = events.replace(self.folder / trial.name)
        self._epochs[trial.name] = len(epochs)
