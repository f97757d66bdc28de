"""Where the trials of a launch run: what every backend can do, and the list of them.

A new backend is a module with a class that follows `Backend`, and a line in `BACKENDS`.
"""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from launcher.launching.launch import Launch

# The words of `--on` with the class of each: modules are imported when a launch uses them, and not for --help.
BACKENDS = {
    "local": "launcher.launching.this_machine:ThisMachine",
    "slurm": "launcher.launching.slurm:RayOverNodes",
    "slurm-array": "launcher.launching.slurm:JobArray",
}


@dataclass(frozen=True)
class Options:
    """What the command line says about where and how to run; each backend uses its part.

    `cluster` is a profile's name or path; `after` the jobs to wait for, as `12,13`; `max_parallel` limits an array's
    running tasks; `follow` stays until jobs have ended; `dry_run` says that nothing will be run.
    """

    cluster: str | None = None
    after: str | None = None
    trials_per_task: int = 1
    max_parallel: int | None = None
    snapshot: bool = False
    follow: bool = False
    dry_run: bool = False


class Backend(Protocol):
    """A place where trials run. It is made with the word of `--on` and the options.

    Raises UserError when it is made with options that it cannot follow, before any data is read.
    """

    def __init__(self, name: str, options: Options) -> None: ...

    def check(self, job: "Launch") -> None:
        """Raise UserError where what is not done yet can not run here; warn where it may run badly. Write nothing."""

    def preview(self, job: "Launch") -> str:
        """Return what would run, for people to read. Write nothing."""

    def run(self, job: "Launch") -> int:
        """Run what is not done yet, after `check`; return the exit code: 0 all done, 1 some failed, 130 interrupted."""


def make(name: str, options: Options) -> Backend:
    """Return the backend of that name in `BACKENDS`. Raises UserError for options that it cannot follow."""
    module, _, class_name = BACKENDS[name].partition(":")
    backend = cast(type[Backend], getattr(importlib.import_module(module), class_name))
    return backend(name, options)
