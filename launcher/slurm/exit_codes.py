"""Exit codes of what runs inside a job, shared by that program and by the job's script, which acts on them."""

import signal
from enum import IntEnum

from deepemotion.console import EXIT_BAD_INPUT, EXIT_FAILED

# How many requeues a job whose process was killed gets before it is abandoned.
MAX_RESTARTS_AFTER_KILL = 3
# A shell pattern for 128 + the number of the signal that ended a process.
KILLED_PATTERN = "129 | 1[3-9]? | 2??"


class ExitCode(IntEnum):
    """Exit codes of `deepemotion-launch work`. The job ends unless the code's description says otherwise."""

    DONE = 0
    """All trials of the job are done."""

    FAILED = EXIT_FAILED
    """A trial has failed, or the time limit came before a single epoch finished: requeueing would not help."""

    MISUSE = EXIT_BAD_INPUT
    """Bad input, such as code that has changed since the submission: one line in the log says what."""

    REQUEUE = 75
    """Near its time limit, with at least one epoch finished: the script requeues the job (sysexits.h: EX_TEMPFAIL)."""

    LOST = 128 + signal.SIGKILL
    """Ray died and could not be started again: for the script as if this process had been killed."""

    TERMINATED = 128 + signal.SIGTERM
    """SIGTERM from SLURM, which cancels or preempts the job and then requeues it by itself; the script requeues it only
    where it is still running, since preemption with a grace time counts a job that ends in it as ended."""
