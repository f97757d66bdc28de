"""The steps that every launch shares: plan the trials, skip those that are done, report how the rest ended."""

import shlex
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from deepemotion.console import EXIT_FAILED, EXIT_INTERRUPTED, say, say_how_to_resume, table, warn
from deepemotion.settings.rules import shared_coefficients
from deepemotion.training.data_sources import Sources
from launcher.planning import controls, data_facts
from launcher.planning.experiment import Experiment
from launcher.planning.facts import DataFacts
from launcher.planning.plan import PlannedTrial, combinations, make_plan
from launcher.run import selection_notes, selections
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
            warn(f"warning: sub-{subject} cannot be read, so trials with it will fail: {reason}")
        trials = make_plan(experiment, data)
        warnings = (shared_coefficients(settings) for settings, _ in combinations(experiment))
        for warning in dict.fromkeys(one for one in warnings if one is not None):
            say(warning)
        missing = controls.missing(experiment, data)
        if missing:
            say(f"controls not in the packed data: {', '.join(missing)}")
        return cls(run, experiment, data, trials, packed, labels)

    @property
    def nested(self) -> bool:
        """Say whether inner folds choose the settings of its models."""
        return self.experiment.plan.select == "nested"

    @cached_property
    def procedure(self) -> selections.Procedure:
        """What plans the refits of its inner trials."""
        return selections.Procedure(self.experiment, self.data)


def planned(job: Launch) -> list[PlannedTrial]:
    """Return all trials of a launch that are planned: its own, and the refits that inner trials have led to."""
    return [*job.trials, *(one.trial for one in _refits(job) if one.trial is not None)]


def unfinished(job: Launch) -> list[PlannedTrial]:
    """Return the planned trials that are not done yet."""
    return [trial for trial in planned(job) if not job.run.trial(trial.name).result.exists()]


def plan_run(job: Launch) -> list[PlannedTrial]:
    """Write the plan and everything that sessions need into the run's directory; return the unfinished trials."""
    with job.run.planning():
        job.run.add_to_plan(job.trials)
        selections.record(job.run, job.experiment, job.data)
        if job.nested:
            # Those planned already as well: a launch after another one makes its own trials count again.
            job.run.add_to_plan([*planned(job), *selections.due(job.run, [job.procedure])])
        to_run = unfinished(job)
        writes = bool(to_run) or not job.run.experiment_file.exists()
        _say_what_is_not_compared(job, writes)
        if writes:
            from launcher.run import provenance

            job.run.write_experiment(job.experiment)
            Sources(job.packed, job.labels).write(job.run.path)
            job.run.add_provenance(provenance.collect(job.data))
            done = len(planned(job)) - len(to_run)
            say(f"{job.run.path}: {_counted(to_run)} to run, {done} already done{_costs(job)}")
        return to_run


def _say_what_is_not_compared(job: Launch, writes: bool) -> None:
    """Name the comparisons that are not declared although this launch or an earlier one asks for them."""
    if not job.run.experiment_file.exists():
        return
    declared, wanted = job.run.declared_comparisons(), job.experiment.plan.compare
    if writes:
        lost = [pair for pair in declared if pair not in wanted]
        why = "no longer declared, since this launch did not repeat them with --compare"
    else:
        lost = [pair for pair in wanted if pair not in declared]
        why = "not declared, since that has to come before training, and nothing is left to train"
    if lost:
        say(f"comparisons {'; '.join(','.join(pair) for pair in lost)}: {why}")


def conclude(job: Launch) -> int:
    """Report how the trials of a launch ended; return the exit code: 0 all done, 1 some failed, 130 unfinished."""
    states = {trial.name: job.run.state(trial.name, running=()) for trial in planned(job)}
    counts = Counter(states.values())
    counts["pending"] += sum(one.trial is None and not one.failed for one in _refits(job))
    ended = f"{counts['done']} done, {counts['failed']} failed, {counts['pending']} unfinished"
    say(f"{job.run.path}: {ended}{_of_kinds(job.trials)}")
    for name, state in states.items():
        if state == "failed":
            directory = job.run.trial(name)
            reason = (directory.read_json(directory.failure) or {}).get("reason", "")
            warn(f"  failed {name}: {reason} (log: {directory.log_file})")
    for sentence in selection_notes.notes(job.run) if job.nested else ():
        say(sentence)
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
    for trial in planned(job):
        fold = "" if trial.fold is None else str(trial.fold)
        epochs = str(trial.trial.train.epochs)
        memory = f"{trial.memory_bytes / 2**30:.1f} GiB"
        state = job.run.state(trial.name, running)
        rows.append((trial.name, trial.training_set, fold, f"{trial.learning_rate:g}", epochs, memory, state))
    return f"{table(rows)}\n{_counted(planned(job))}{_costs(job)}"


def plan_content(job: Launch) -> dict[str, Any]:
    """Return the trials of a launch as plain values: what each trains on, what it needs, its settings and state."""
    running = job.run.running()
    trials = [
        {
            "trial": trial.name,
            "training_set": trial.training_set,
            "condition": trial.condition,
            "protocol": trial.protocol,
            "control": trial.control or None,
            "outer": trial.outer,
            "memory_bytes": trial.memory_bytes,
            "work": trial.work,
            "state": job.run.state(trial.name, running),
            "settings": trial.trial.model_dump(mode="json"),
        }
        for trial in planned(job)
    ]
    return {"run": str(job.run.path), "refits": len(job.procedure.refits) if job.nested else 0, "trials": trials}


def _refits(job: Launch) -> list[selections.Progress]:
    """Return how far the refits of a launch are, none where its inner trials are not planned yet."""
    return list(selections.progress(job.run, [job.procedure])) if job.nested else []


def _costs(job: Launch) -> str:
    """Return what a nested selection costs in all, nothing for other launches."""
    if not job.nested:
        return ""
    inner = sum(trial.outer is not None for trial in job.trials)
    refits, epochs = len(job.procedure.refits), job.experiment.train.epochs
    return (
        f"; nested selection: {inner} inner trials of {epochs} epochs, then {refits} refits of at most {epochs}:"
        f" at most {(inner + refits) * epochs} epochs"
    )


def _counted(trials: list[PlannedTrial]) -> str:
    return f"{len(trials)} trials{_of_kinds(trials)}"


def _of_kinds(trials: list[PlannedTrial]) -> str:
    """Return how many of the trials are of controls and of learning curves, in brackets; nothing for none."""
    numbers = {
        "controls": sum(bool(trial.control) for trial in trials),
        "learning curves": sum(trial.point is not None for trial in trials),
    }
    words = [f"{number} of {kind}" for kind, number in numbers.items() if number]
    return f" ({', '.join(words)})" if words else ""
