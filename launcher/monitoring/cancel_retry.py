"""Stops the jobs and launches of a run, and submits unfinished trials again."""

import os
import signal
import socket
from pathlib import Path

from deepemotion.errors import UserError
from launcher.run import sessions
from launcher.run.directory import RunDirectory
from launcher.run.replacements import replaced
from launcher.slurm import queue, submissions, submit
from launcher.slurm.submissions import Submission


def cancel(run: RunDirectory) -> list[str]:
    """Cancel the run's jobs in SLURM and stop a launch on this machine; return descriptions of what was stopped."""
    active = [session for session in sessions.newest_of_each_job(sessions.read(run.sessions)).values() if session.alive]
    history = submissions.read(run)
    by_hand = {session.group for session in active if session.job is not None}
    queued = queue.read_queue() if history or by_hand else {}
    submit.adopt(history, queued)
    known = {job for submission in history for job in submission.jobs} | by_hand
    jobs = sorted({job.partition("_")[0] for job, state in queued.items() if state.active} & known)
    if jobs:
        queue.cancel(jobs)
    stopped = [f"job {job}" for job in jobs]
    for session in active:
        if session.job is None and session.host == socket.gethostname():
            os.kill(session.pid, signal.SIGINT)
            stopped.append(f"process {session.pid}")
        elif session.job is None:
            raise UserError(
                f"{run.path}: a launch on {session.host} is working on it (pid {session.pid}): stop it there"
            )
    return stopped


def retry(run: RunDirectory, failed_only: bool, cluster: str | None) -> Submission | None:
    """Submit unfinished (or only failed) trials with the last submission's options; None if there are none.

    Raises UserError for a run that was never submitted.
    """
    history = submissions.read(run)
    if not history:
        raise UserError(f"{run.path}: was never submitted to SLURM; repeat the launch command instead")
    last = history[-1]
    wanted = {"failed"} if failed_only else {"failed", "pending"}
    plan = run.read_plan()
    dead = replaced(run, plan)
    trials = [trial for trial in plan if trial.name not in dead and run.state(trial.name, running=()) in wanted]
    options = submit.Options(
        array=last.array,
        cluster=cluster or last.cluster,
        trials_per_task=max(map(len, last.tasks)),
        max_parallel=last.max_parallel,
        snapshot=last.snapshot is not None,
    )
    if cluster is None and not Path(last.cluster).is_file() and "/" in last.cluster:
        raise UserError(
            f"{last.cluster}: the cluster profile of the last submission no longer exists; give one with --cluster"
        )
    target = submit.target(options)
    submit.warn_of_memory(trials, target)
    return submit.submit(run, trials, options, target)
