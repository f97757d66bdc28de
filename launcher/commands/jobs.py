"""`deepemotion-launch logs | cancel | retry RUN`: living with a run's jobs."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import say

Run = Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")]


def logs(
    run: Run,
    trial: Annotated[str | None, typer.Argument(help="A trial's name or its beginning; else the newest job's.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as the log grows, until Ctrl-C.")] = False,
) -> None:
    """Print the log of a trial, or of the job that wrote last."""
    from launcher.monitoring.logs import find, show
    from launcher.run.directory import RunDirectory

    show(find(RunDirectory.existing(run), trial), follow)


def cancel(run: Run) -> None:
    """Stop all jobs and launches that work on a run; what is trained stays, and the same launch goes on from it."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    from launcher.monitoring.cancel_retry import cancel as stop

    stopped = stop(directory)
    say(f"stopped {', '.join(stopped)}" if stopped else f"{run}: nobody is working on it")


def retry(
    run: Run,
    failed: Annotated[bool, typer.Option("--failed", help="Only trials that failed.")] = False,
    cluster: Annotated[
        str | None, typer.Option(help="Another cluster profile than last time, with more memory, say.")
    ] = None,
) -> None:
    """Submit again what is missing, in the way it was submitted last."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    from launcher.monitoring.cancel_retry import retry as again

    submission = again(directory, failed, cluster)
    if submission is None:
        say(f"{run}: nothing to submit")
    else:
        number = sum(map(len, submission.tasks))
        say(f"submitted {', '.join(f'job {job}' for job in submission.jobs)} with {number} trials")
