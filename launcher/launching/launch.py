"""The steps that every launch shares: plan the trials, skip those that are done, report how the rest ended."""

import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from deepemotion.console import EXIT_FAILED, EXIT_INTERRUPTED, say, say_how_to_resume, table
from deepemotion.training.data_sources import Sources
from launcher.planning import controls, data_facts
from launcher.planning.experiment import Experiment
from launcher.planning.facts import DataFacts
from launcher.planning.plan import PlannedTrial, make_plan
from launcher.run.directory import RunDirectory


@dataclass(frozen=True)
class Launch:
    """The run, experiment, data and trials of a launch."""

    run: RunDirectory
    experiment: Experiment
    data: DataFacts
    trials: list[PlannedTrial]
    packed: Path
    labels: Path

    @classmethod
    def of(cls, run: RunDirectory, experiment: Experiment, packed: Path, labels: Path) -> "Launch":
        """Plan the trials of an experiment on the data in `packed` and `labels`; write nothing.

        Raises UserError for data that cannot be read, and for settings with which a trial cannot work.
        """
        data, broken = data_facts.read(packed, labels, experiment)
        for subject, reason in broken.items():
            say(f"warning: sub-{subject} cannot be read, so trials with it will fail: {reason}")
        trials = make_plan(experiment, data)
        missing = controls.missing(experiment, data)
        if missing:
            say(f"controls not in the packed data: {', '.join(missing)}")
        return cls(run, experiment, data, trials, packed, labels)


def unfinished(job: Launch) -> list[PlannedTrial]:
    """Return the trials that are not done yet."""
    return [trial for trial in job.trials if not job.run.trial(trial.name).result.exists()]


def plan_run(job: Launch) -> list[PlannedTrial]:
    """Write the plan and everything that sessions need into the run's directory; return the unfinished trials."""
    with job.run.planning():
        to_run = unfinished(job)
        job.run.add_to_plan(job.trials)
        if to_run or not job.run.experiment_file.exists():
            from launcher.run import provenance

            job.run.write_experiment(job.experiment)
            Sources(job.packed, job.labels).write(job.run.path)
            job.run.add_provenance(provenance.collect(job.data))
            say(f"{job.run.path}: {_counted(to_run)} to run, {len(job.trials) - len(to_run)} already done")
        return to_run


def conclude(job: Launch) -> int:
    """Report how the trials of a launch ended; return the exit code: 0 all done, 1 some failed, 130 unfinished."""
    states = {trial.name: job.run.state(trial.name, running=()) for trial in job.trials}
    counts = Counter(states.values())
    ended = f"{counts['done']} done, {counts['failed']} failed, {counts['pending']} unfinished"
    say(f"{job.run.path}: {ended}{_of_controls(job.trials)}")
    for name, state in states.items():
        if state == "failed":
            directory = job.run.trial(name)
            reason = (directory.read_json(directory.failure) or {}).get("reason", "")
            say(f"  failed {name}: {reason} (log: {directory.log_file})")
    say(f"tables:      {job.run.tables}/")
    say(f"tensorboard: tensorboard --logdir {shlex.quote(str(job.run.path))}")
    if counts["pending"]:
        say_how_to_resume()
        return EXIT_INTERRUPTED
    return EXIT_FAILED if counts["failed"] else 0


def trials_table(job: Launch) -> str:
    """Return a table of the trials of a launch: what each trains on, what it needs, and its state."""
    running = job.run.running()
    rows = [("trial", "training set", "fold", "learning rate", "epochs", "memory", "state")]
    for trial in job.trials:
        fold = "" if trial.fold is None else str(trial.fold)
        epochs = str(trial.trial.train.epochs)
        memory = f"{trial.memory_bytes / 2**30:.1f} GiB"
        state = job.run.state(trial.name, running)
        rows.append((trial.name, trial.training_set, fold, f"{trial.learning_rate:g}", epochs, memory, state))
    return f"{table(rows)}\n{_counted(job.trials)}"


def _counted(trials: list[PlannedTrial]) -> str:
    return f"{len(trials)} trials{_of_controls(trials)}"


def _of_controls(trials: list[PlannedTrial]) -> str:
    """Return how many of the trials are of controls, in brackets; nothing for none."""
    number = sum(bool(trial.control) for trial in trials)
    return f" ({number} of controls)" if number else ""
