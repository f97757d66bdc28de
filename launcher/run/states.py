"""The states that a trial can be in: the words of the tables, of `status` and of a launch."""

from enum import StrEnum


class State(StrEnum):
    """The state of a trial.

    Without SLURM a trial that has not ended is `running`, `stopped` (some of its epochs are trained, and nobody is
    training it now) or `planned` (it has not begun). In SLURM it may be `pending`, which means that its job waits, and
    the words after that; a launch calls everything `pending` that is left to train. `replaced` did not end, and a later
    launch has new labels or volumes in its place; or it is done and no longer counts, though nothing is in its place: a
    refit whose inner trials were replaced, or a model that leaves a subject out of a pool that a later launch changed.
    """

    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    STOPPED = "stopped"
    PLANNED = "planned"
    REPLACED = "replaced"
    PENDING = "pending"
    REQUEUED = "requeued"
    PREEMPTED = "preempted"
    TIMED_OUT = "timed out"
    CANCELLED = "cancelled"
    OUT_OF_MEMORY = "out of memory"
    NODE_FAILED = "node failed"
