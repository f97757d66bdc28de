"""Runs trials on a SLURM cluster: in one job with Ray over its nodes, or in a job array."""

import shlex
from functools import cached_property

from deepemotion.console import say
from launcher.launching.backend import Options
from launcher.launching.launch import Launch, conclude, plan_run, trials_table, unfinished
from launcher.monitoring.watch import wait_for_tables, watch
from launcher.slurm import cluster_profile, submit


class _OnSlurm:
    """What both backends share: check the profile against the cluster, submit the jobs, follow them if asked."""

    array: bool

    def __init__(self, name: str, options: Options) -> None:
        self._cluster = cluster_profile.required(name, options.cluster)
        self._options = options

    def check(self, job: Launch) -> None:
        """Raise UserError if the cluster does not answer or the profile does not fit it; warn of too little memory.

        In a dry run, a cluster that does not answer is only a warning.
        """
        submit.check_names(job.run)
        submit.warn_of_memory(unfinished(job), self._target)

    def preview(self, job: Launch) -> str:
        """Return the table of the trials and the job scripts."""
        return f"{trials_table(job)}\n\n{submit.preview(job.run, job.trials, self._submission, self._target)}"

    def run(self, job: Launch) -> int:
        """Submit the unfinished trials; return the exit code: of the submission or, with --follow, of the trials.

        Raises UserError, before anything is written, if a launch outside of SLURM is working on the run.
        """
        target = self._target
        with job.run.locked(shared=True):
            to_run = plan_run(job)
        if not to_run:
            return conclude(job)
        submission = submit.submit(job.run, to_run, self._submission, target)
        path = shlex.quote(str(job.run.path))
        if submission is not None:
            say(f"submitted {', '.join(f'job {number}' for number in submission.jobs)}; logs in {job.run.slurm}/")
        say(f"status: deepemotion-launch status {path}   stop: deepemotion-launch cancel {path}")
        if not self._options.watched:
            return 0
        if not watch(job.run):
            return 0
        wait_for_tables(job.run)
        return conclude(job)

    @property
    def _submission(self) -> submit.Options:
        options = self._options
        return submit.Options(
            self.array, self._cluster, options.trials_per_task, options.max_parallel, options.snapshot
        )

    @cached_property
    def _target(self) -> submit.Target:
        """The profile, and what the cluster reports about itself, which is asked once."""
        return submit.target(self._submission, only_shown=self._options.dry_run)


class RayOverNodes(_OnSlurm):
    """One job of several nodes: a trial runs on whichever node has room."""

    array = False


class JobArray(_OnSlurm):
    """A job array: each task trains the trials assigned to it, with its own Ray."""

    array = True
