"""Runs trials on this machine, in a private Ray that ends with the session."""

from deepemotion.console import EXIT_FAILED, warn
from deepemotion.errors import UserError
from launcher.launching.backend import Options
from launcher.launching.launch import Launch, conclude, plan_run, planned, trials_table, unfinished
from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory
from launcher.session import resources


class ThisMachine:
    """The machine on which the launch was started."""

    def __init__(self, name: str, options: Options) -> None: ...

    def check(self, job: Launch) -> None:
        """Raise UserError if a trial needs a GPU and there is none; warn of too little memory."""
        waiting = unfinished(job)
        resources.refuse_devices(waiting)
        warning = resources.short_of_memory(waiting, resources.available_memory())
        if warning:
            warn(warning)

    def preview(self, job: Launch) -> str:
        """Return the table of the trials."""
        return trials_table(job)

    def run(self, job: Launch) -> int:
        """Run the trials until all have ended or Ctrl-C, as many at once as CPUs, memory and GPUs allow.

        Raises UserError, before anything is written, if another launch or SLURM's jobs are working on the run.
        """
        with job.run.locked():
            if unfinished(job):
                _refuse_queued(job.run)
            to_run = plan_run(job)
            lost = bool(to_run) and _train(job.run, to_run, len(planned(job)) - len(to_run))
        # After the lock is released: while it is held, states would be read as those of a launch at work.
        if not to_run:
            from launcher.session.session import tabulate_what_is_new

            tabulate_what_is_new(job.run, job.trials)
        code = conclude(job)
        return EXIT_FAILED if lost else code


def _train(run: RunDirectory, trials: list[PlannedTrial], already_done: int) -> bool:
    """Train the trials; return whether Ray could not be kept running."""
    from launcher.session.session import open_session

    machine = resources.this_machine()
    with open_session(run, trials, already_done) as session:
        session.train(machine)
    return session.lost


def _refuse_queued(run: RunDirectory) -> None:
    """Raise UserError if SLURM has jobs of the run: they could not start while a launch here holds the run."""
    if not run.slurm.is_dir():
        return
    from launcher.slurm.submit import queued_trials

    queued = queued_trials(run)
    if queued:
        raise UserError(
            f"{run.path}: {len(queued)} trials are queued or running in SLURM; wait until they finish, or cancel them: "
            f"deepemotion-launch cancel {run.path}"
        )
