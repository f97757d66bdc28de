"""Where everything of a run lies, who may write to it, and what state its trials are in.

experiment.yaml  the last launch's experiment, resolved      tune/       Tune's sessions
plan.tsv         every trial ever planned here               tensorboard/ aggregates
provenance.json  each launch: code, versions, host, data     tables/ report.html
trials/TRIAL/    see deepemotion.trial_directory
"""

import fcntl
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from deepemotion.errors import UserError
from deepemotion.files import write_text
from deepemotion.trial_directory import TrialDirectory
from launcher.experiment import Experiment
from launcher.plan import PlannedTrial


class RunDirectory:
    """One run: the folder `runs/NAME`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.experiment_file = path / "experiment.yaml"
        self.plan_file = path / "plan.tsv"
        self.provenance_file = path / "provenance.json"
        self.tensorboard = path / "tensorboard"
        self.tables = path / "tables"
        self.tune = path / "tune"
        self.report = path / "report.html"
        self._lock_file = path / ".lock"

    @classmethod
    def existing(cls, path: Path) -> "RunDirectory":
        """Return the run at `path`. Raises UserError where there is none."""
        run = cls(path)
        if not run.plan_file.is_file():
            raise UserError(f"{path}: no run here (plan.tsv is missing); give the folder runs/NAME of a launch")
        return run

    def trial(self, name: str) -> TrialDirectory:
        """Return the directory of a trial."""
        return TrialDirectory(self.path / "trials" / name)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for one launcher. Raises UserError where another one holds it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = self._lock_file.open("a+", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{self.path}: cannot write: {error.strerror}; choose another --runs folder") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UserError(f"{self.path}: another launch is working on this run; wait for it or stop it") from None
            yield

    def is_held(self) -> bool:
        """Say whether a launcher is working on the run now."""
        try:
            with self._lock_file.open("r", encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def state(self, name: str, held: bool) -> str:
        """Return `done`, `failed`, `running` or `pending`; `held` as `is_held` says, read once for many trials."""
        trial = self.trial(name)
        if trial.result.exists():
            return "done"
        if trial.failure.exists():
            return "failed"
        return "running" if held and trial.settings.exists() else "pending"

    def write_experiment(self, experiment: Experiment) -> None:
        """Write the resolved experiment."""
        write_text(self.experiment_file, yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False))

    def add_to_plan(self, trials: Iterable[PlannedTrial]) -> None:
        """Add trials to the run's plan; those of earlier launches stay in it."""
        rows = {trial.name: trial for trial in self.read_plan()}
        known = len(rows)
        rows.update({trial.name: trial for trial in trials if trial.name not in rows})
        if len(rows) == known:
            return
        lines = ["\t".join(field.name for field in fields(PlannedTrial))]
        lines += ["\t".join(_cell(getattr(row, field.name)) for field in fields(PlannedTrial)) for row in rows.values()]
        write_text(self.plan_file, "\n".join(lines) + "\n")

    def read_plan(self) -> list[PlannedTrial]:
        """Return all trials planned in this run so far, none for a new one."""
        try:
            header, *lines = self.plan_file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        try:
            rows = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
            return [PlannedTrial(**{key: _READ.get(key, str)(cell) for key, cell in row.items()}) for row in rows]
        except (ValueError, TypeError) as error:
            raise UserError(f"{self.plan_file}: not a plan as this version writes it ({error})") from error

    def add_provenance(self, launch: dict[str, Any]) -> None:
        """Append a launch to the run's provenance."""
        launches = json.loads(self.provenance_file.read_text()) if self.provenance_file.exists() else []
        write_text(self.provenance_file, json.dumps([*launches, launch], indent=1) + "\n")

    def new_session(self) -> str:
        """Return an unused name for a Tune session of this run."""
        taken = [int(path.name.removeprefix("session-")) for path in self.tune.glob("session-*")]
        return f"session-{max(taken, default=0) + 1:03d}"


_READ: dict[str, Callable[[str], Any]] = {
    "fold": lambda cell: int(cell) if cell else None,
    "learning_rate": float,
    "seed": int,
    "memory_bytes": int,
    "work": float,
    "settings": json.loads,
}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, dict) else str(value)
