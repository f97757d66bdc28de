"""Finds the log of a trial, or of the newest job or launch, and prints it, optionally following it."""

import time
from pathlib import Path

from deepemotion.console import answer
from deepemotion.errors import UserError
from deepemotion.training.trial_directory import name_by_beginning
from launcher.run.directory import RunDirectory

_LOOK_EVERY_S = 1.0


def find(run: RunDirectory, trial: str | None) -> Path:
    """Return the log of the trial whose name begins with `trial`, or of the job or launch that wrote last.

    Raises UserError if there is none, or if several names begin with `trial`.
    """
    if trial is None:
        logs = [*run.slurm.glob("*.log"), *run.sessions.glob("*.log")]
        if not logs:
            raise UserError(f"{run.path}: no job or launch has a log yet; for a trial's log, give the trial's name")
        return max(logs, key=lambda path: path.stat().st_mtime)
    names = (planned.name for planned in run.read_plan())
    name = name_by_beginning(names, trial, f"deepemotion-launch status {run.path} lists them")
    return run.trial(name).log_file


def show(log: Path, follow: bool) -> None:
    """Print a log on standard output; with `follow` until Ctrl-C. Raises UserError if it does not exist yet."""
    try:
        file = log.open(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise UserError(f"{log}: does not exist yet: the trial has not started") from None
    with file:
        _print_rest(file.read())
        try:
            while follow:
                time.sleep(_LOOK_EVERY_S)
                _print_rest(file.read())
        except KeyboardInterrupt:
            return


def _print_rest(text: str) -> None:
    if text:
        answer(text.removesuffix("\n"))
