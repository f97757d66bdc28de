"""One launch: plan, skip what is done, run the rest, tabulate. The same launch again goes on where it stopped."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from deepemotion.console import EXIT_FAILED, EXIT_INTERRUPTED, say
from launcher.experiment import Experiment
from launcher.plan import DataFacts, PlannedTrial
from launcher.run_directory import RunDirectory


@dataclass(frozen=True)
class Launch:
    """What a launch works on."""

    run: RunDirectory
    experiment: Experiment
    data: DataFacts
    trials: list[PlannedTrial]
    packed: Path
    labels: Path


def launch(job: Launch) -> int:
    """Run what is not done yet; return the exit code: 0 all done, 1 some failed, 130 interrupted."""
    with job.run.locked():
        done = {trial.name for trial in job.trials if job.run.trial(trial.name).result.exists()}
        unfinished = [trial for trial in job.trials if trial.name not in done]
        job.run.add_to_plan(job.trials)
        if unfinished or not job.run.experiment_file.exists():
            job.run.write_experiment(job.experiment)
        if unfinished:
            say(f"{job.run.path}: {len(unfinished)} trials to run, {len(done)} done already")
            _run(job, unfinished, len(done))
    # The lock is given back first: states read while it is held would be those of a launch at work.
    if unfinished or not (job.run.tables / "trials.parquet").exists():
        _tabulate(job.run)
    return _conclude(job)


def _run(job: Launch, trials: list[PlannedTrial], already_done: int) -> None:
    from launcher import provenance
    from launcher.backends import local
    from launcher.progress import SessionProgress
    from launcher.tensorboard import write_aggregates

    job.run.add_provenance(provenance.collect(job.data))
    with SessionProgress(trials, already_done, refresh=lambda: write_aggregates(job.run)) as watcher:
        local.run(job.run, job.experiment, trials, job.packed, job.labels, watcher)


def _tabulate(run: RunDirectory) -> None:
    from launcher.results import write_tables
    from launcher.tensorboard import write_aggregates

    write_tables(run)
    write_aggregates(run)


def _conclude(job: Launch) -> int:
    states = {trial.name: job.run.state(trial.name, held=False) for trial in job.trials}
    counts = {state: list(states.values()).count(state) for state in ("done", "failed", "pending")}
    say(f"{job.run.path}: {counts['done']} done, {counts['failed']} failed, {counts['pending']} to go")
    for name, state in states.items():
        if state == "failed":
            directory = job.run.trial(name)
            reason = (directory.read_json(directory.failure) or {}).get("reason", "")
            say(f"  failed {name}: {reason} (log: {directory.log_file})")
    say(f"tables:      {job.run.tables}/")
    say(f"tensorboard: tensorboard --logdir {shlex.quote(str(job.run.path))}")
    if counts["pending"]:
        say(f"to go on:    {shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])}")
        return EXIT_INTERRUPTED
    return EXIT_FAILED if counts["failed"] else 0
