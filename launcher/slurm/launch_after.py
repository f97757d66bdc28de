"""A launch that waits for other jobs: a small job repeats the command line once they have ended successfully."""

import shlex
import sys

from deepemotion.console import say
from deepemotion.errors import UserError
from launcher.run.directory import RunDirectory
from launcher.slurm import cluster_profile
from launcher.slurm.script import Script

# The launch itself only reads headers and submits.
_SMALL = {"nodes": 1, "cpus_per_node": 1, "gpus_per_node": 0, "gpu_type": None, "memory_gb": 2}


def submit(run: RunDirectory, after: str, cluster: str) -> int:
    """Submit a job that repeats this command line, without `--after`, once the jobs `after` have ended successfully.

    `after` is a list such as `12,13`. Returns the exit code. Raises UserError where `after` holds no job ids.
    """
    jobs = after.split(",")
    if not all(job.replace("_", "", 1).isdecimal() for job in jobs):
        raise UserError(f"--after {after}: give SLURM's job ids, for instance 12,13")
    profile = cluster_profile.read(cluster).model_copy(update=_SMALL)
    command = shlex.join(["deepemotion-launch", *_without_after(sys.argv[1:]), "--detach"])
    script = Script(f"de-{run.path.name}-launch", command, profile, run.slurm.resolve(), after=jobs)
    job = script.submit()
    say(f"submitted job {job}: it launches into {run.path} after {', '.join(jobs)}   stop: scancel {job}")
    return 0


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
