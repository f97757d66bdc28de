"""Submits a job script with sbatch, and finds out the job's id, even where sbatch fails or prints something else."""

import re
import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from deepemotion.console import warn
from deepemotion.errors import UserError
from launcher.slurm import environment, queue

# sbatch itself tries for about a minute, and a site's wrapper may do more.
_TIMEOUT_S = 300
# A controller that answers too late shows the job in its queue some seconds later.
_LOOK_AGAIN_S = (0.0, 1.0, 2.0, 4.0)
# Failures after which the controller may have taken the job all the same.
_UNCLEAR = re.compile(
    r"time[ds]?[ -]?out|contact|connect|communicat|zero bytes|send/recv|reset|unexpected|receiv", re.I
)


class UnclearError(UserError):
    """Nobody knows whether SLURM has the job: it may still appear in the queue."""


@dataclass(frozen=True)
class _Answer:
    code: int
    output: str
    errors: str

    @property
    def reason(self) -> str:
        lines = (self.errors.strip() or self.output.strip() or "no reason given").splitlines()
        line = next((line for line in lines if "error:" in line), lines[-1])
        return line.removeprefix("sbatch: error: ")

    @property
    def unclear(self) -> bool:
        # A negative code is a signal that ended sbatch in the middle.
        return self.code < 0 or not self.errors.strip() or _UNCLEAR.search(self.reason) is not None


def submit(text: str, name: str, folder: Path) -> str:
    """Submit a script of this text, whose job name nothing else has, and return the job's id.

    The script is kept in `folder`. Raises UserError with what sbatch says, and UnclearError where the job may be in the
    queue or may appear there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / f".submission-{secrets.token_hex(4)}.sh"
    script.write_text(text, encoding="utf-8")
    try:
        job = _job_id(_run_sbatch(script), name)
    except UnclearError:
        # The job may read its script from here.
        raise
    except UserError:
        script.unlink(missing_ok=True)
        raise
    script.rename(folder / f"{job}_submission.sh")
    return job


def parse_job_id(text: str) -> str | None:
    """Return the job's id from what sbatch or a site's wrapper prints; None where it is not clear which number it is.

    Known are `Submitted batch job 12 on cluster c`, `12` and `12;c` (--parsable) on a line of its own, and other
    sentences with `job 12`, each among any further lines.
    """
    for pattern in (
        r"Submitted batch job (\d+)",
        r"^[ \t]*(\d+)(?:;[\w.-]+)?[ \t]*$",
        r"\bjob(?:[ _-]?id)?[ :=#]+(\d+)",
    ):
        ids = set(re.findall(pattern, text, re.MULTILINE | re.IGNORECASE))
        if ids:
            return str(ids.pop()) if len(ids) == 1 else None
    return None


def _run_sbatch(script: Path) -> _Answer:
    try:
        done = subprocess.run(
            ["sbatch", str(script)],
            env=environment.of_commands(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise UserError("sbatch is not on this machine: submit from a login node of the cluster") from None
    except OSError as error:
        raise UserError(f"sbatch cannot be started: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        return _Answer(-1, "", f"sbatch timed out: no answer within {_TIMEOUT_S} s")
    return _Answer(done.returncode, done.stdout, done.stderr)


def _job_id(answer: _Answer, name: str) -> str:
    if answer.code == 0:
        job = parse_job_id(answer.output) or parse_job_id(answer.errors)
        if job is not None:
            return job
    if answer.code == 0:
        shown = " ".join(answer.output.split()) or "nothing"
        problem, unclear = f"sbatch printed no job id that can be read ({shown[:200]})", True
    else:
        problem, unclear = f"sbatch rejects the job: {answer.reason}", answer.unclear
    # Asked even after a clear rejection: whatever sbatch says, a job that is in the queue will run.
    for pause in _LOOK_AGAIN_S if unclear else _LOOK_AGAIN_S[:1]:
        time.sleep(pause)
        job = _find(name)
        if job is not None:
            warn(f"{problem}; but SLURM has it: job {job}")
            return job
    if unclear:
        raise UnclearError(
            f"{problem}; its job {name} is not in the queue, but may still appear there:"
            f" squeue --name={name}; to stop it: scancel --name={name}"
        )
    raise UserError(problem)


def _find(name: str) -> str | None:
    """Return the id of this user's job of this name; None also where the queue cannot be asked."""
    try:
        states = queue.read_queue()
    except UserError:
        return None
    return next((state.group for state in states.values() if state.name == name), None)
