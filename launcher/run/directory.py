"""Where everything of a run lies, who may write to it, and what state its trials are in.

experiment.yaml  the last launch's experiment, resolved      tune/        Tune's sessions
plan.tsv         every trial ever planned here               tensorboard/ aggregates
provenance.json  each launch: code, versions, host, data     tables/ report.html
sources.json     see deepemotion.training.data_sources       sessions/    who worked on it, and who does now
trials/TRIAL/    see deepemotion.training.trial_directory   slurm/       submissions, job scripts, logs
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import yaml

from deepemotion.errors import UserError
from deepemotion.files import readable, whole_lines, write_text
from deepemotion.training.trial_directory import TRIALS, TrialDirectory
from launcher.planning import experiment
from launcher.planning.experiment import Experiment
from launcher.planning.plan import PlannedTrial, replaced
from launcher.run import sessions

# More than any of the files that a session rewrites all the time.
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
        self.tune = path / "tune"
        self.report = path / "report.html"
        self.sessions = path / "sessions"
        self.slurm = path / "slurm"

    @classmethod
    def existing(cls, path: Path) -> "RunDirectory":
        """Return the run at `path`. Raises UserError where there is none."""
        run = cls(path)
        if not run.plan_file.is_file():
            raise UserError(f"{path}: no run here (plan.tsv is missing); give the folder runs/NAME of a launch")
        return run

    def trial(self, name: str) -> TrialDirectory:
        """Return the directory of a trial."""
        return TrialDirectory(self.path / TRIALS / name)

    @contextmanager
    def planning(self) -> Iterator[None]:
        """Hold the plan for one writer, for as long as it takes to write; others wait."""
        with self._lock(".planning", fcntl.LOCK_EX):
            yield

    @contextmanager
    def locked(self, shared: bool = False) -> Iterator[None]:
        """Hold the run while its trials train: for one launcher alone, or `shared` between jobs with disjoint trials.

        Raises UserError where somebody else holds it.
        """
        try:
            lock = self._lock(".lock", (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{self.path}: another launch is working on this run; wait for it or stop it") from None
        with lock:
            yield

    @contextmanager
    def only_one(self, name: str, every_s: float) -> Iterator[bool]:
        """Give True to one process at a time, and at most once in `every_s` seconds over all of them."""
        try:
            file = self._lock(f".{name}", fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        with file:
            file.seek(0)
            due = time.time() - float(file.read() or 0) > every_s
            yield due
            if due:
                # Without the time, on a full disk, somebody does it once more.
                with suppress(OSError):
                    os.ftruncate(file.fileno(), 0)
                    os.pwrite(file.fileno(), str(time.time()).encode(), 0)

    def _lock(self, name: str, how: int) -> IO[str]:
        """Return the file that holds the lock until it is closed."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / name).open("a+", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{self.path}: cannot write: {error.strerror}; choose another --runs folder") from error
        try:
            fcntl.flock(file, how)
        except OSError as error:
            # Lustre without its flock option knows no locks; SLURM's own bookkeeping has to do there.
            if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
                file.close()
                raise
        return file

    def require_writable(self) -> None:
        """Raise UserError where nothing more can be written to the run."""
        probe = self.path / ".probe"
        write_text(probe, " " * _PROBE_BYTES)
        probe.unlink()

    def running(self) -> set[str]:
        """Return the names of the trials that are being trained now."""
        return set(sessions.at_work(sessions.read(self.sessions)))

    def state(self, name: str, running: Container[str]) -> str:
        """Return `done`, `failed`, `running` or `pending`; `running` as the method says, read once for many trials."""
        directory = self.path / TRIALS / name
        # Most of a plan's thousands have none yet: not worth putting the names of its files together.
        if not directory.is_dir():
            return "running" if name in running else "pending"
        trial = TrialDirectory(directory)
        if trial.result.exists():
            return "done"
        if name in running:
            return "running"
        return "failed" if trial.failure.exists() else "pending"

    def read_experiment(self) -> Experiment:
        """Return the last launch's experiment. Raises UserError where there is none."""
        return experiment.read(self.experiment_file, [], {}, {})

    def experiment_text(self) -> str:
        """Return the last launch's experiment as it is written. Raises UserError where there is none."""
        with readable(self.experiment_file, "launch into this run again"):
            return self.experiment_file.read_text(encoding="utf-8")

    def write_experiment(self, resolved: Experiment) -> None:
        """Write the resolved experiment."""
        write_text(self.experiment_file, yaml.safe_dump(resolved.model_dump(mode="json"), sort_keys=False))

    def add_to_plan(self, trials: Iterable[PlannedTrial]) -> None:
        """Add trials to the run's plan; those of earlier launches stay in it.

        A trial that had been replaced goes to the end: whoever has the former data back wants its results to count.
        """
        before = self.read_plan()
        rows, dead = {trial.name: trial for trial in before}, replaced(before)
        for trial in trials:
            if trial.name in dead:
                del rows[trial.name]
            rows[trial.name] = trial
        if list(rows.values()) == before:
            return
        lines = ["\t".join(field.name for field in fields(PlannedTrial))]
        lines += ["\t".join(_cell(getattr(row, field.name)) for field in fields(PlannedTrial)) for row in rows.values()]
        write_text(self.plan_file, "\n".join(lines) + "\n")

    def read_plan(self) -> list[PlannedTrial]:
        """Return all trials planned in this run so far, none for a new one."""
        try:
            text = self.plan_file.read_bytes()
        except FileNotFoundError:
            return []
        try:
            header, *lines = whole_lines(text)
            rows = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
            return [PlannedTrial(**{key: _READ.get(key, str)(cell) for key, cell in row.items()}) for row in rows]
        except (ValueError, TypeError) as error:
            raise UserError(
                f"{self.plan_file}: not a plan as this version writes it ({error}); put it aside and launch again"
            ) from error

    def read_provenance(self) -> list[dict[str, Any]]:
        """Return what is known of each launch into the run."""
        if not self.provenance_file.exists():
            return []
        with readable(self.provenance_file, "put it aside: the launches before are known from it alone"):
            launches: list[dict[str, Any]] = json.loads(self.provenance_file.read_bytes())
        return launches

    def add_provenance(self, launch: dict[str, Any]) -> None:
        """Append a launch to the run's provenance."""
        launches = self.read_provenance()
        write_text(self.provenance_file, json.dumps([*launches, launch], indent=1) + "\n")


_READ: dict[str, Callable[[str], Any]] = {
    "fold": lambda cell: int(cell) if cell else None,
    "permutation": int,
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
