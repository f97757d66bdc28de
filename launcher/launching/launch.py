"""A launch: plan, skip what is done, run the rest, tabulate. The same launch again goes on where it stopped."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from deepemotion.console import EXIT_FAILED, EXIT_INTERRUPTED, say, say_how_to_go_on
from deepemotion.errors import UserError
from deepemotion.training.data_sources import Sources
from launcher.planning.experiment import Experiment
from launcher.planning.facts import DataFacts
from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory
from launcher.session import resources


@dataclass(frozen=True)
class Launch:
    """What a launch works on."""

    run: RunDirectory
    experiment: Experiment
    data: DataFacts
    trials: list[PlannedTrial]
    packed: Path
    labels: Path


def launch_here(job: Launch) -> int:
    """Run what is not done yet here; return the exit code: 0 all done, 1 some failed, 130 interrupted.

    Raises UserError, before anything is written, as `check_here` does, and where SLURM holds jobs of the run.
    """
    check_here(job)
    with job.run.locked():
        if unfinished(job):
            _refuse_queued(job.run)
        to_run = plan_run(job)
        if to_run:
            from launcher.launching import local

            local.run(job.run, to_run, len(job.trials) - len(to_run))
    # The lock is given back first: states read while it is held would be those of a launch at work.
    if not to_run:
        from launcher.session.session import tabulate_what_is_new

        tabulate_what_is_new(job.run, job.trials)
    return conclude(job)


def check_here(job: Launch) -> None:
    """Raise UserError where what is not done yet needs a GPU and this machine has none; warn of too little memory."""
    waiting = unfinished(job)
    resources.refuse_devices(waiting)
    warning = resources.short_of_memory(waiting, resources.available_memory())
    if warning:
        say(warning)


def unfinished(job: Launch) -> list[PlannedTrial]:
    """Return the trials that are not done yet."""
    return [trial for trial in job.trials if not job.run.trial(trial.name).result.exists()]


def _refuse_queued(run: RunDirectory) -> None:
    """Raise UserError where SLURM holds jobs of the run: they could not begin while a launch here holds it."""
    if not run.slurm.is_dir():
        return
    from launcher.slurm.submit import queued_trials

    queued = queued_trials(run)
    if queued:
        raise UserError(
            f"{run.path}: {len(queued)} trials are with SLURM; wait for them, or deepemotion-launch cancel {run.path}"
        )


def plan_run(job: Launch) -> list[PlannedTrial]:
    """Write the plan and everything that sessions need into the run's directory; return what is not done yet."""
    with job.run.planning():
        to_run = unfinished(job)
        job.run.add_to_plan(job.trials)
        if to_run or not job.run.experiment_file.exists():
            from launcher.run import provenance

            job.run.write_experiment(job.experiment)
            Sources(job.packed, job.labels).write(job.run.path)
            job.run.add_provenance(provenance.collect(job.data))
            say(f"{job.run.path}: {len(to_run)} trials to run, {len(job.trials) - len(to_run)} done already")
        return to_run


def conclude(job: Launch) -> int:
    """Tell how the trials of a launch ended; return the exit code as `launch_here` does."""
    states = {trial.name: job.run.state(trial.name, running=()) for trial in job.trials}
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
        say_how_to_go_on()
        return EXIT_INTERRUPTED
    return EXIT_FAILED if counts["failed"] else 0
