"""Where everything of a run is stored, and what state its trials are in.

experiment.yaml  the last launch's experiment, resolved      tune/        Tune's sessions
plan.tsv         every trial ever planned here               tensorboard/ aggregates
provenance.json  each launch: code, versions, host, data     tables/ report.html
sources.json     see deepemotion.training.data_sources       sessions/    who worked on it, and who does now
selections.json  see launcher.run.selections                 maps/        see launcher.evidence.saliency_maps
between_brains.tsv  see deepemotion.scoring.between_brains
trials/TRIAL/    see deepemotion.training.trial_directory   slurm/       submissions, job scripts, logs
"""

import json
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from deepemotion import config_files
from deepemotion.errors import UserError
from deepemotion.files import readable, write_text
from deepemotion.training.trial_directory import TRIALS, TrialDirectory
from launcher.planning import experiment
from launcher.planning.experiment import Experiment
from launcher.planning.plan import PlannedTrial
from launcher.planning.replaced import replaced
from launcher.run import locks, permissions, plan_file, sessions
from launcher.run.states import State

# Larger than any of the files that a session keeps rewriting.
_PROBE_BYTES = 2**18


class RunDirectory:
    """One run: the folder `runs/NAME`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.experiment_file = path / "experiment.yaml"
        self.plan_file = path / "plan.tsv"
        self.provenance_file = path / "provenance.json"
        self.tensorboard = path / "tensorboard"
        self.tables = path / "tables"
        self.maps = path / "maps"
        self.tune = path / "tune"
        self.report = path / "report.html"
        self.sessions = path / "sessions"
        self.slurm = path / "slurm"

    @classmethod
    def existing(cls, path: Path) -> "RunDirectory":
        """Return the run at `path`. Raises UserError where there is none."""
        run = cls(path)
        permissions.restrict(path)
        if not run.plan_file.is_file():
            raise UserError(f"{path}: no run here (plan.tsv is missing); give the folder runs/NAME of a launch")
        return run

    def trial(self, name: str) -> TrialDirectory:
        """Return the directory of a trial."""
        return TrialDirectory(self.path / TRIALS / name)

    @contextmanager
    def planning(self) -> Iterator[None]:
        """Hold the plan for one writer until it is written; others wait."""
        with locks.acquire(self.path, ".planning"):
            yield

    @contextmanager
    def locked(self, shared: bool = False) -> Iterator[None]:
        """Hold the run while its trials train: for one launcher alone, or `shared` between jobs with disjoint trials.

        Raises UserError if another process holds it, also if somebody has deleted its lock file in the meantime.
        """
        file = self.path / ".lock"
        is_new = not file.exists()
        try:
            lock = locks.acquire(self.path, ".lock", shared=shared, wait=False)
        except BlockingIOError:
            raise self._busy("another launch") from None
        with lock:
            if is_new:
                for session in sessions.newest_of_each_job(sessions.read(self.sessions)).values():
                    if session.alive and not (shared and session.job is not None):
                        # Left here, the new file would let the next launch in.
                        file.unlink(missing_ok=True)
                        who = f"another launch (process {session.pid} on {session.host})"
                        raise self._busy(who, f"; if it was killed, launch again in {session.silence_left_s:.0f} s")
            yield

    def _busy(self, who: str, more: str = "") -> UserError:
        return UserError(f"{self.path}: {who} is working on this run; wait for it or stop it{more}")

    @contextmanager
    def only_one(self, name: str, every_s: float) -> Iterator[bool]:
        """Yield True to one process at a time, and at most once in `every_s` seconds over all of them."""
        with locks.only_one(self.path, f".{name}", every_s) as due:
            yield due

    def require_writable(self) -> None:
        """Raise UserError where nothing more can be written to the run."""
        probe = self.path / ".probe"
        write_text(probe, " " * _PROBE_BYTES)
        # Another process may have removed it.
        probe.unlink(missing_ok=True)

    def running(self) -> set[str]:
        """Return the names of the trials that are being trained now."""
        return set(sessions.at_work(sessions.read(self.sessions)))

    def state(self, name: str, running: Container[str]) -> str:
        """Return `done`, `failed`, `running` or `pending`; `running` as the method says, read once for many trials."""
        directory = self.path / TRIALS / name
        # Most of a plan's thousands of trials have no folder yet; building the paths of its files would take time.
        if not directory.is_dir():
            return State.RUNNING if name in running else State.PENDING
        trial = TrialDirectory(directory)
        if trial.result.exists():
            return State.DONE
        if name in running:
            return State.RUNNING
        return State.FAILED if trial.failure.exists() else State.PENDING

    def read_experiment(self) -> Experiment:
        """Return the last launch's experiment. Raises UserError where there is none, or a damaged one."""
        with self._rewritten_by_a_launch():
            return experiment.read(self.experiment_file, [], {}, {})

    def experiment_text(self) -> str:
        """Return the text of the last launch's experiment. Raises UserError where there is none, or a damaged one."""
        with readable(self.experiment_file, "launch into this run again"):
            text = self.experiment_file.read_text(encoding="utf-8")
        with self._rewritten_by_a_launch():
            config_files.read_yaml(self.experiment_file)
        return text

    def declared_comparisons(self) -> list[list[str]]:
        """Return the pairs that the recorded experiment declares, none where it is missing or damaged."""
        try:
            return self.read_experiment().plan.compare
        except UserError:
            return []

    @contextmanager
    def _rewritten_by_a_launch(self) -> Iterator[None]:
        """Say what to do where the experiment is missing or damaged: only a launch should write it."""
        try:
            yield
        except UserError as error:
            remedy = "delete it and launch into this run again" if self.experiment_file.exists() else "launch again"
            raise UserError(f"{error}; {remedy}") from error

    def write_experiment(self, resolved: Experiment) -> None:
        """Write the resolved experiment."""
        write_text(self.experiment_file, yaml.safe_dump(resolved.model_dump(mode="json"), sort_keys=False))

    def add_to_plan(self, trials: Iterable[PlannedTrial]) -> None:
        """Add trials to the run's plan; those of earlier launches stay in it.

        A trial that had been replaced moves to the end: if its data are back, its results count again.
        """
        existing = self.read_plan()
        rows, replaced_trials = {trial.name: trial for trial in existing}, replaced(existing)
        for trial in trials:
            if trial.name in replaced_trials:
                del rows[trial.name]
            rows[trial.name] = trial
        if list(rows.values()) != existing:
            plan_file.write(self.plan_file, rows.values())

    def read_plan(self) -> list[PlannedTrial]:
        """Return all trials planned in this run so far, none for a new one. Raises UserError for a truncated plan."""
        return plan_file.read(self.plan_file)

    def read_provenance(self) -> list[dict[str, Any]]:
        """Return the provenance of each launch into the run."""
        if not self.provenance_file.exists():
            return []
        with readable(self.provenance_file, "move it elsewhere; it is the only record of earlier launches"):
            launches: list[dict[str, Any]] = json.loads(self.provenance_file.read_bytes())
            if not isinstance(launches, list) or not all(isinstance(launch, dict) for launch in launches):
                raise ValueError("not a list of launches")
        return launches

    def add_provenance(self, launch: dict[str, Any]) -> None:
        """Append a launch to the run's provenance."""
        launches = self.read_provenance()
        write_text(self.provenance_file, json.dumps([*launches, launch], indent=1) + "\n")
