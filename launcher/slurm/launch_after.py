"""A launch that waits for other jobs: a small job repeats the command line once they have ended successfully."""

import shlex
import sys

from deepemotion.console import say
from deepemotion.errors import UserError
from launcher.run.directory import RunDirectory
from launcher.slurm import cluster_profile, queue
from launcher.slurm.script import Script

# The launch itself only reads headers and submits.
_CPUS, _MEMORY_GB = 1, 2.0


def submit(run: RunDirectory, after: str, cluster: str) -> int:
    """Submit a job that repeats this command line, without `--after`, once the jobs `after` have ended successfully.

    `after` is a list such as `12,13`. Returns the exit code. Raises UserError where `after` holds no job ids,
    and where one of the jobs has failed or is unknown: SLURM itself would take a forgotten job for a success.
    """
    jobs = after.split(",")
    if not all(job.replace("_", "", 1).isdecimal() for job in jobs):
        raise UserError(f"--after {after}: give SLURM's job ids, for instance 12,13")
    profile = cluster_profile.read(cluster).reduced(_CPUS, _MEMORY_GB)
    waited_for = _still_to_end(jobs)
    if waited_for != jobs:
        say(f"already completed: {', '.join(job for job in jobs if job not in waited_for)}")
    command = shlex.join(["deepemotion-launch", *_without_after(sys.argv[1:]), "--detach"])
    script = Script(f"de-{run.path.name}-launch", command, profile, run.slurm.resolve(), after=waited_for)
    job = script.submit()
    when = f"after {', '.join(waited_for)}" if waited_for else "as soon as it starts"
    say(f"submitted job {job}: it launches into {run.path} {when}   stop: scancel {job}")
    return 0


def _still_to_end(jobs: list[str]) -> list[str]:
    """Return those of the jobs that are in the queue; the others have completed. Raises UserError otherwise."""
    # The queue forgets ended jobs, and tasks of an array one by one; where accounting knows a task too, it is behind.
    states = queue.read_accounting(jobs, None) | queue.read_jobs(jobs)
    waiting = []
    for job in jobs:
        parts = [state for id_, state in states.items() if job in (id_, state.group)]
        if not parts:
            raise UserError(f"--after {job}: SLURM knows no such job: check the id, or launch without --after")
        failed = next((part for part in parts if not part.active and part.state != "COMPLETED"), None)
        if failed is not None:
            raise UserError(f"--after {job}: job {failed.job} has ended with {failed.state}; run it again first")
        if any(part.active for part in parts):
            waiting.append(job)
    return waiting


def _without_after(words: list[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word in ("--follow", "--detach") or word.startswith("--after="):
            skip = False
        elif word == "--after":
            skip = True
        else:
            kept.append(word)
    return kept
