"""The places where the trials of a launch can run: the interface of a backend, and the registry of backends.

A new backend is a module with a class that implements `Backend`, and a line in `BACKENDS`.
"""

import importlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from deepemotion.errors import UserError

if TYPE_CHECKING:
    from launcher.launching.launch import Launch

# The values of `--on` and their classes. A module is imported only when a launch uses it, and not for --help.
BACKENDS = {
    "local": "launcher.launching.this_machine:ThisMachine",
    "slurm": "launcher.launching.slurm:RayOverNodes",
    "slurm-array": "launcher.launching.slurm:JobArray",
}


@dataclass(frozen=True)
class Options:
    """The options that say where and how to run.

    `cluster` is a profile's name or path; `after` the jobs to wait for, as `12,13`; `max_parallel` limits an array's
    running tasks; `follow` waits until the jobs have ended, None on a terminal only; with `dry_run` nothing will be
    run.
    """

    cluster: str | None = None
    after: str | None = None
    trials_per_task: int = 1
    max_parallel: int | None = None
    snapshot: bool = False
    follow: bool | None = None
    dry_run: bool = False

    @property
    def watched(self) -> bool:
        """Whether to wait until the jobs have ended, and show how far they are."""
        return sys.stderr.isatty() if self.follow is None else self.follow


class Backend(Protocol):
    """A place where trials run, made with the value of `--on` and the options.

    The constructor raises UserError for options that are wrong, before any data is read.
    """

    def __init__(self, name: str, options: Options) -> None: ...

    def check(self, job: "Launch") -> None:
        """Raise UserError if the unfinished trials cannot run here; warn if they may run badly. Write nothing."""

    def preview(self, job: "Launch") -> str:
        """Return a description of what would run. Write nothing."""

    def run(self, job: "Launch") -> int:
        """Run the unfinished trials, after `check`; return 0 if all are done, 1 if some failed, 130 if interrupted."""


def make(name: str, options: Options) -> Backend:
    """Return the backend of that name in `BACKENDS`. Raises UserError for options that would do nothing there."""
    _require_use(name, options)
    module, _, class_name = BACKENDS[name].partition(":")
    backend = cast(type[Backend], getattr(importlib.import_module(module), class_name))
    return backend(name, options)


def _require_use(name: str, options: Options) -> None:
    of_slurm = {
        "--after": options.after is not None,
        "--cluster": options.cluster is not None,
        "--snapshot": options.snapshot,
        "--detach": options.follow is False,
    }
    of_arrays = {"--trials-per-task": options.trials_per_task != 1, "--max-parallel": options.max_parallel is not None}
    refused = {"local": of_slurm | of_arrays, "slurm": of_arrays}.get(name, {})
    option = next((option for option, is_given in refused.items() if is_given), None)
    if option is not None:
        wanted = "slurm-array" if option in of_arrays else "slurm or slurm-array"
        raise UserError(f"{option}: would do nothing with --on {name}; add --on {wanted}, or leave it out")
