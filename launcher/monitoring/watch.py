"""Watches a run from outside its jobs, which do not depend on it."""

import csv
import math
import shlex
import time

from rich.live import Live

from deepemotion.console import at_time, progress_console, say, warn
from deepemotion.errors import UserError
from launcher.monitoring import status
from launcher.monitoring.summary import Summary
from launcher.run import selections, sessions
from launcher.run.directory import RunDirectory
from launcher.slurm import queue, submissions

# Each look reads a few small files per trial, and asks SLURM's controller, which all users share (seconds).
_LOOK_EVERY_S = 15.0
# A log says this often that it is still being written (seconds).
_LINE_EVERY_S = 60.0
# Tabulating thousands of trials from a slow shared file system takes minutes.
_TABLES_WITHIN_S = 120.0
_AT_WORK = {"running", "pending", "requeued", "preempted"}


def watch(run: RunDirectory) -> bool:
    """Show the run's progress until no trial is running or waiting; return False if Ctrl-C ends it before."""
    console = progress_console()
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            shown = problem = ""
            said = -math.inf
            while True:
                try:
                    trials = status.read(run)
                except UserError as error:
                    # A controller that is busy for a moment must not end the watch.
                    if problem != (problem := str(error)):
                        console.print(at_time(problem), highlight=False, soft_wrap=True)
                    time.sleep(_LOOK_EVERY_S)
                    continue
                line, problem = Summary(trials).line, ""
                if console.is_terminal:
                    live.update(_lines(trials, line), refresh=True)
                elif line != shown or time.monotonic() - said > _LINE_EVERY_S:
                    console.print(at_time(line), highlight=False, soft_wrap=True)
                    said = time.monotonic()
                shown = line
                if not any(trial.state in _AT_WORK for trial in trials) and not _plans_more(run):
                    return True
                time.sleep(_LOOK_EVERY_S)
    except KeyboardInterrupt:
        again = f"deepemotion-launch status {shlex.quote(str(run.path))} --follow"
        say(f"stopped watching; the jobs continue. To watch again: {again}")
        return False


def _plans_more(run: RunDirectory) -> bool:
    """Say whether a session is at work that may plan further trials, whose settings those that ended choose."""
    return bool(selections.read(run)) and any(session.alive for session in sessions.read(run.sessions))


def wait_for_tables(run: RunDirectory) -> None:
    """Wait until the run's tables have all its results, which its jobs write after their last trial.

    Where no job is left to write them, or after two minutes, they are written from here.
    """
    deadline = time.monotonic() + _TABLES_WITHIN_S
    next_look = time.monotonic()
    while not _tabulated(run):
        if time.monotonic() >= next_look:
            next_look = time.monotonic() + _LOOK_EVERY_S
            if not _jobs_are_left(run) and not _tabulated(run):
                break
        if time.monotonic() > deadline:
            break
        time.sleep(1.0)
    else:
        return
    from launcher.session.session import tabulate

    try:
        tabulate(run)
    except UserError as error:
        warn(f"the tables were not written: {error}")


def _tabulated(run: RunDirectory) -> bool:
    try:
        with (run.tables / "trials.csv").open(encoding="utf-8", newline="") as file:
            states = {row["trial"]: row["state"] for row in csv.DictReader(file)}
    except (OSError, ValueError, KeyError):
        return False
    done = (trial.name for trial in run.read_plan() if run.state(trial.name, running=()) == "done")
    return all(states.get(name) == "done" for name in done)


def _jobs_are_left(run: RunDirectory) -> bool:
    jobs = {job for submission in submissions.read(run) for job in submission.jobs}
    try:
        return any(state.active and state.group in jobs for state in queue.read_queue().values())
    except UserError:
        return True


def _lines(trials: list[status.TrialStatus], line: str) -> str:
    busy = [trial for trial in trials if trial.state not in ("done", "pending", "planned", "replaced")]
    shown = [f"{t.trial.name}  {t.state}  {t.epochs}/{t.trial.trial.train.epochs}  {t.detail}" for t in busy]
    return "\n".join([*shown[:30], line])
