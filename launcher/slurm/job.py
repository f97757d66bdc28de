"""What runs inside a SLURM job: a session over the job's share of the plan, with Ray over the job's nodes.

A job from its submission to its end. The code in parentheses is this process's exit code (exit_codes.py); the job's
script (script.py), SLURM, or a surviving node (ray_node.py) does the rest:

    submitted --SLURM starts it--> running <--SLURM starts it again-- requeued
                                      |                                  ^
      all its trials are done         |--> (DONE) -----------> ended     |
      some have failed for good       |--> (FAILED) ---------> ended     |
      bad input, code has changed     |--> (MISUSE) ---------> ended     |
      time limit near (SIGUSR2):      |                                  |
        some epoch has finished       |--> (REQUEUE) ---- the script ----+
        none has                      |--> (FAILED) ---------> ended     |
      cancelled (SIGTERM)             |--> (TERMINATED) -----> ended     |
      preempted (SIGTERM):            |                                  |
        no time to end                |--> (TERMINATED) -- SLURM --------+
        with time to end              |--> (TERMINATED) -- the script ---+
      this process is killed,         |                                  |
        or Ray twice              |--> (128 + signal) the script ----+   up to MAX_RESTARTS_AFTER_KILL, then ended
      its first node is lost:         |                                  |
        the only one                  |------------------- SLURM --------+
        others survive                |------------------- a survivor ---+
      another node is lost            '--> running on: its trials restart on the nodes that are left

A requeued job keeps its id. It trains those of its trials that have no result yet, from their checkpoints, and skips
those that have already failed in it.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, cast

from deepemotion.console import say, warn
from launcher.planning.plan import PlannedTrial
from launcher.run import selections, sessions
from launcher.run.directory import RunDirectory
from launcher.run.replacements import replaced
from launcher.session.session import RunningSession, open_session, tabulate_what_is_new
from launcher.slurm import allocation, environment, ray_node, submissions
from launcher.slurm.allocation import Allocation
from launcher.slurm.exit_codes import ExitCode

# How long the other nodes may take to clean up, in seconds; SLURM then ends them with the job.
_LEAVE_S = 20


def run(run_directory: RunDirectory, submission: int | None, first_task: int) -> int:
    """Train this job's unfinished trials; return the exit code, one of `ExitCode`."""
    # Ray's processes inherit this: the warning before a time limit would end them.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    granted = allocation.current()
    share = _share(run_directory, granted, submission, first_task)
    with run_directory.locked(shared=True):
        share = _with_refits(run_directory, share, granted.job)
        unfinished = [trial for trial in share if not _has_ended(run_directory, trial, granted.group)]
        say(f"job {granted.job} on {granted.node}: {len(unfinished)} of {len(share)} trials to run")
        if unfinished:
            code = _train(run_directory, unfinished, len(share) - len(unfinished), granted)
            if code:
                return code
    if not unfinished and not run_directory.running():
        # Requeued after its last trial.
        tabulate_what_is_new(run_directory, share)
    share = _taken(run_directory, share, granted.job)
    states = [run_directory.state(trial.name, running=()) for trial in share]
    return ExitCode.FAILED if "failed" in states else ExitCode.DONE


def _share(
    run_directory: RunDirectory, granted: Allocation, submission: int | None, first_task: int
) -> list[PlannedTrial]:
    plan = {trial.name: trial for trial in run_directory.read_plan()}
    if submission is None:
        dead = replaced(run_directory, list(plan.values()))
        # Shares are taken first, so that a requeued task keeps its share, whatever was replaced meanwhile.
        return [trial for name, trial in list(plan.items())[granted.task :: granted.tasks] if name not in dead]
    record = submissions.read_one(run_directory, submission)
    record.check_code()
    if granted.group not in record.jobs:
        _adopt(run_directory, submission, granted.group, first_task)
    return [plan[name] for name in record.tasks[first_task + granted.task]]


def _with_refits(run_directory: RunDirectory, share: list[PlannedTrial], job: str) -> list[PlannedTrial]:
    """Return a job's share with the refits that its earlier sessions took, and those whose inner trials are done.

    A job may have been killed between its last inner trial and their refits.
    """
    refits = selections.plan_due(run_directory, [trial.name for trial in share])
    return [*_taken(run_directory, share, job), *refits]


def _taken(run_directory: RunDirectory, share: list[PlannedTrial], job: str) -> list[PlannedTrial]:
    """Return a job's share with the refits that its sessions took."""
    if not selections.read(run_directory):
        return share
    plan = {trial.name: trial for trial in run_directory.read_plan()}
    names = (name for one in sessions.read(run_directory.sessions) if one.job == job for name in one.trials)
    refits = [plan[name] for name in names if name in plan and plan[name].selection is not None]
    return list({trial.name: trial for trial in [*share, *refits]}.values())


def _adopt(run_directory: RunDirectory, number: int, job: str, first_task: int) -> None:
    """Write this job's id into its submission, where sbatch's answer never reached whoever submitted it."""
    with run_directory.planning():
        # Read again: other tasks of the array do the same, and a launch may be writing the ids of its further arrays.
        record = submissions.read_one(run_directory, number)
        if job not in record.jobs:
            record.jobs[job] = first_task
            submissions.write(run_directory, record)


def _has_ended(run_directory: RunDirectory, trial: PlannedTrial, group: str) -> bool:
    """Say whether the trial is done, or has failed for good in an earlier attempt of this job."""
    directory = run_directory.trial(trial.name)
    if directory.result.exists():
        return True
    failure = directory.read_json(directory.failure)
    return failure is not None and failure.get("session") == group


def _train(run_directory: RunDirectory, trials: Sequence[PlannedTrial], done: int, granted: Allocation) -> int:
    several = bool(granted.other_nodes)
    # The batch script, from which srun started this process, runs on this node.
    address = allocation.address_towards(os.environ["SLURM_LAUNCH_NODE_IPADDR"]) if several else None
    token = submissions.token_file(run_directory) if several else None
    with open_session(run_directory, trials, done, granted.group, granted.job) as session:
        try:
            _stop_on_signals(session)
            joined = partial(_joined_nodes, granted.other_nodes) if several else None
            session.train(granted.machine, address, token, joined)
        except KeyboardInterrupt:
            say("stopped before the first trial started")
        if not session.unfinished:
            return ExitCode.DONE
        if session.lost:
            return ExitCode.LOST
        if session.stopped_by != "time limit":
            return ExitCode.TERMINATED
        if not session.watcher.progressed:
            session.stopped_by = "time limit before a single epoch was done"
            warn("the time limit came before a single epoch was done: request more time in the cluster profile")
            return ExitCode.FAILED
        return ExitCode.REQUEUE


def _stop_on_signals(session: RunningSession) -> None:
    """End the session on SLURM's signals as Ctrl-C does."""

    def stop(why: str) -> None:
        if not session.unfinished:
            # Only the tables are left to write, and no later session would write them.
            return
        session.stopped_by = why
        # Recorded at once: SLURM may leave less time than stopping takes.
        session.record.end(why)
        say(f"{why}: stopping; the last checkpoints are kept")
        os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGUSR2, lambda *_: stop("time limit"))
    signal.signal(signal.SIGTERM, lambda *_: stop("terminated"))


@contextmanager
def _joined_nodes(nodes: Sequence[str], head: str, folder: Path) -> Iterator[None]:
    """Join the job's other nodes to the Ray at `head` (IP:port), each by a step of its own: one may die alone."""
    steps = []
    for node in nodes:
        srun = ["srun", "--nodes=1", "--ntasks=1", f"--nodelist={node}", "--overlap", "--export=ALL"]
        srun += [f"--cpus-per-task={os.environ.get('SLURM_CPUS_PER_TASK', 1)}"]
        node_words = [sys.executable, "-m", "launcher.cli", "ray-node", head, str(folder)]
        steps.append(subprocess.Popen([*srun, *node_words], stdin=subprocess.PIPE, env=environment.of_steps()))
    try:
        yield
    finally:
        for step in steps:
            # Not by a signal: srun would kill the step at once, and its folder would be left behind.
            with suppress(OSError), cast(IO[bytes], step.stdin) as words:
                words.write(ray_node.LEAVE)
        for step in steps:
            with suppress(subprocess.TimeoutExpired):
                step.wait(_LEAVE_S)
            step.kill()
