"""The state of jobs: squeue for those in the queue, sacct (where there is accounting) for those that have left it."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from deepemotion.errors import UserError
from deepemotion.files import write_text
from launcher.run import file_clock
from launcher.slurm import environment

_FIELDS = ("ArrayJobID", "ArrayTaskID", "State", "Reason", "NodeList", "exit_code", "RestartCnt", "Name")
_SQUEUE = ("squeue", "--noheader", "--array", "--states=all")
_ENDED = {
    *("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"),
    # Where the site cancels preempted jobs; one that is requeued instead is COMPLETING, then PENDING.
    "PREEMPTED",
}
# sacct queries a database that all users share: not more often than this (seconds).
_SACCT_EVERY_S = 60.0
_TIMEOUT_S = 60


@dataclass(frozen=True)
class JobState:
    """A job or array task: SLURM's long state (`PENDING`, ...), its reason for waiting, nodes, exit code, requeues.

    `exit_code` is SLURM's, as text; `memory` is what the job requested and its peak use, if sacct knows them.
    """

    job: str
    state: str
    reason: str = ""
    nodes: str = ""
    exit_code: str = ""
    restarts: int = 0
    memory: str = ""
    name: str = ""

    @property
    def group(self) -> str:
        """Return the id of the job that an array task belongs to, or of the job itself."""
        return self.job.partition("_")[0]

    @property
    def active(self) -> bool:
        """Say whether the job is in the queue: waiting, running, or about to be requeued."""
        return self.state not in _ENDED


def is_here() -> bool:
    """Say whether SLURM's commands are on this machine."""
    return shutil.which("squeue") is not None


def read_queue() -> dict[str, JobState]:
    """Return this user's jobs that SLURM still remembers, by id (`123`, `123_4`). Raises UserError if it is silent."""
    return _read_queue_of(os.getuid())


def read_queue_of_owner(path: Path) -> dict[str, JobState]:
    """Return the jobs of this user and of whoever owns `path`, for runs of others. Raises UserError if it is silent."""
    states = read_queue()
    owner = path.stat().st_uid
    return states if owner == os.getuid() else _read_queue_of(owner) | states


def _read_queue_of(user: int) -> dict[str, JobState]:
    # By number: LOGNAME may be somebody else's, and the number may have no name on this machine.
    try:
        return _squeue(f"--user={user}")
    except UserError as error:
        # squeue takes numbers without a name for mistakes.
        if "invalid user" not in str(error).lower():
            raise
    names = ("UserID", *_FIELDS)
    rows = _run([*_SQUEUE, "--Format=" + ",".join(f"{name}:|" for name in names)])
    return _parse_queue(line.removeprefix(f"{user}|") for line in rows.splitlines() if line.startswith(f"{user}|"))


def read_jobs(jobs: Iterable[str]) -> dict[str, JobState]:
    """Return those of these jobs and array tasks, of any user, that SLURM still remembers.

    Raises UserError if squeue does not answer.
    """
    wanted = sorted({job.partition("_")[0] for job in jobs})
    try:
        return _squeue(f"--jobs={','.join(wanted)}")
    except UserError as error:
        # So squeue says that it knows none of them.
        if "invalid job id" in str(error).lower():
            return {}
        raise


def _squeue(which: str) -> dict[str, JobState]:
    return _parse_queue(_run([*_SQUEUE, which, "--Format=" + ",".join(f"{name}:|" for name in _FIELDS)]).splitlines())


def _parse_queue(lines: Iterable[str]) -> dict[str, JobState]:
    states = {}
    for line in lines:
        array, *rest = line.split("|", len(_FIELDS) - 1)
        if not array.isdecimal() or len(rest) < len(_FIELDS) - 2:
            # A site's greeting, or the name of the cluster.
            continue
        task, state, reason, nodes, code, restarts, *name = rest
        job = array if task == "N/A" else f"{array}_{task}"
        reason = "" if reason == "None" else reason
        name_of_job = "".join(name).removesuffix("|")
        states[job] = JobState(job, state, reason, nodes, code, int(restarts or 0), name=name_of_job)
    return states


def read_accounting(jobs: Iterable[str], cache: Path | None) -> dict[str, JobState]:
    """Return what sacct knows of jobs that left the queue, from `cache` if it was asked a moment ago.

    Empty where there is no accounting. A cache that cannot be written is done without.
    """
    wanted = sorted({job.partition("_")[0] for job in jobs})
    if not wanted or shutil.which("sacct") is None:
        return {}
    if cache is not None and cache.is_file() and file_clock.age(cache) < _SACCT_EVERY_S:
        # A truncated cache is asked for again.
        with suppress(ValueError, TypeError):
            content = json.loads(cache.read_bytes())
            return {job: JobState(**state) for job, state in content.items()}
    fields = "JobID,State,ExitCode,NodeList,ReqMem,MaxRSS"
    try:
        rows = _run(["sacct", "--noheader", "--parsable2", f"--format={fields}", f"--jobs={','.join(wanted)}"])
    except UserError:
        rows = ""
    states = _parse_accounting(rows)
    if cache is not None:
        with suppress(UserError):
            write_text(cache, json.dumps({job: asdict(state) for job, state in states.items()}) + "\n")
    return states


def _parse_accounting(text: str) -> dict[str, JobState]:
    states: dict[str, JobState] = {}
    used: dict[str, float] = {}
    for line in text.splitlines():
        if line.count("|") != 5:
            # A site's greeting, say.
            continue
        job_id, state, code, nodes, asked, most = line.split("|")
        job, _, step = job_id.partition(".")
        if step:
            used[job] = max(used.get(job, 0.0), _megabytes(most))
        # A requeued job has several lines; the last one counts.
        else:
            states[job] = JobState(job, state.split()[0], nodes=nodes, exit_code=code, memory=f"requested {asked}")
    for job, megabytes in used.items():
        if job in states and megabytes:
            known = states[job]
            memory = f"{known.memory}, used at most {megabytes:.0f}M"
            states[job] = JobState(**{**asdict(known), "memory": memory})
    return states


def _megabytes(text: str) -> float:
    units = {"K": 2**-10, "M": 1.0, "G": 2**10, "T": 2**20}
    return float(text[:-1]) * units[text[-1]] if text and text[-1] in units else float(text or 0) / 2**20


def cancel(jobs: Iterable[str]) -> None:
    """Cancel jobs. Raises UserError with what scancel says."""
    _run(["scancel", *jobs])


def _run(words: list[str]) -> str:
    try:
        done = subprocess.run(
            words, env=environment.of_commands(), capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
        )
    except FileNotFoundError:
        raise UserError(f"{words[0]} is not on this machine: use a login node of the cluster") from None
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{words[0]} did not answer within {_TIMEOUT_S} s: SLURM's controller is down or busy"
        ) from None
    if done.returncode:
        first = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        raise UserError(f"{words[0]}: {first}")
    return done.stdout
