"""Lists the runs in a folder: their states, what they train, when they were launched, and their best results."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deepemotion.console import warn
from deepemotion.errors import UserError, one_line
from deepemotion.training.trial_directory import TRIALS
from launcher.planning.plan import PlannedTrial
from launcher.run import sessions
from launcher.run.directory import RunDirectory
from launcher.run.replacements import replaced
from launcher.run.states import State
from launcher.slurm import queue, submissions, submit
from launcher.slurm.queue import JobState

_DAMAGED = "damaged"


@dataclass(frozen=True)
class Best:
    """The finished trial of the brain with the highest validation accuracy, and what labels alone score there."""

    trial: PlannedTrial
    accuracy: float
    label_only_accuracy: float


@dataclass(frozen=True)
class RunSummary:
    """One run. `state` is one of `State`, or `damaged` with the `problem`; `launched` is the time of its last launch.

    `trials` counts those that no later launch replaced, by their states. `protocols`, `models` and `subjects` are those
    of all of them; the models are those of the brain.
    """

    name: str
    state: str
    launched: datetime
    trials: Counter[str] = field(default_factory=Counter)
    protocols: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    best: Best | None = None
    problem: str = ""

    @property
    def done(self) -> int:
        """The number of trials that are done."""
        return self.trials[State.DONE]


def find(folder: Path) -> list[RunDirectory]:
    """Return the runs in a folder, or the folder itself if it is a run. Raises UserError where there is none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder of runs, which is --runs of a launch")
    found = [RunDirectory(path.parent) for path in (*folder.glob("plan.tsv"), *sorted(folder.glob("*/plan.tsv")))]
    if not found:
        raise UserError(f"{folder}: no runs here; give the folder of runs, which is --runs of a launch")
    return found


def summarise(runs: Sequence[RunDirectory]) -> list[RunSummary]:
    """Return a summary of each run, the one launched last first. One that cannot be read says why."""
    jobs = _queue(runs)
    return sorted((_summary(run, jobs) for run in runs), key=lambda one: one.launched, reverse=True)


def _queue(runs: Sequence[RunDirectory]) -> dict[str, JobState]:
    """Return this user's jobs, asked once for all runs; none where SLURM is not here or does not answer."""
    if not queue.is_here() or not any(run.slurm.is_dir() for run in runs):
        return {}
    try:
        return queue.read_queue()
    except UserError as error:
        warn(f"warning: {error}; runs that wait in SLURM are shown as if they did not")
        return {}


def _summary(run: RunDirectory, jobs: Mapping[str, JobState]) -> RunSummary:
    launched = datetime.fromtimestamp(run.plan_file.stat().st_mtime, UTC)
    try:
        launched = _launched(run) or launched
        plan = run.read_plan()
        dead = replaced(run, plan)
        trials = [trial for trial in plan if trial.name not in dead]
        active = [session for session in sessions.read(run.sessions) if session.alive] if trials else []
        running = {name for session in active for name in session.running}
        states = {trial.name: run.state(trial.name, running) for trial in trials}
        best = _best(run, [trial for trial in trials if states[trial.name] == State.DONE])
        state = _state(run, Counter(states.values()), bool(active), jobs)
    except (UserError, OSError) as error:
        return RunSummary(run.path.name, _DAMAGED, launched, problem=one_line(str(error)))
    brain = [trial for trial in trials if not trial.control]
    return RunSummary(
        run.path.name,
        state,
        launched,
        Counter(states.values()),
        tuple(dict.fromkeys(trial.protocol for trial in brain)),
        tuple(dict.fromkeys(trial.trial.model.name for trial in brain)),
        tuple(sorted({subject for trial in trials for subject in trial.subjects})),
        best,
    )


def _launched(run: RunDirectory) -> datetime | None:
    """Return when the last launch that had something to train was made, None where that was not recorded."""
    launches = run.read_provenance()
    if not launches:
        return None
    try:
        return datetime.fromisoformat(launches[-1]["started"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{run.provenance_file}: damaged (no time of the last launch)") from None


def _state(run: RunDirectory, trials: Counter[str], at_work: bool, jobs: Mapping[str, JobState]) -> State:
    if at_work:
        return State.RUNNING
    if trials[State.DONE] == trials.total():
        return State.DONE
    if jobs and run.slurm.is_dir():
        history = submissions.read(run)
        submit.adopt(history, dict(jobs))
        own = {job for submission in history for job in submission.jobs}
        if any(state.active and state.group in own for state in jobs.values()):
            return State.PENDING
    if trials[State.FAILED]:
        return State.FAILED
    return State.STOPPED if any((run.path / TRIALS).glob("*")) else State.PLANNED


def _best(run: RunDirectory, done: Sequence[PlannedTrial]) -> Best | None:
    """Return the best trial that tests a model of the brain on true labels, trained on all of its training set."""
    found = []
    for trial in done:
        if not (trial.control or trial.permutation or trial.outer is not None or trial.point is not None):
            directory = run.trial(trial.name)
            result: dict[str, Any] = directory.read_json(directory.result) or {}
            try:
                found.append(Best(trial, float(result["accuracy_validation"]), float(result["label_only_accuracy"])))
            except (KeyError, TypeError, ValueError):
                raise UserError(f"{directory.result}: damaged (no accuracy)") from None
    return max(found, key=lambda one: one.accuracy, default=None)
