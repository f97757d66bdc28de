"""`deepemotion-launch logs | cancel | retry RUN`: read the logs of a run's jobs, stop them, submit them again."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import say

Run = Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")]


def logs(
    run: Run,
    trial: Annotated[
        str | None,
        typer.Argument(
            help="A trial's name or its beginning; by default, the newest log of a job or launch is printed."
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Print new lines as they are written, until Ctrl-C.")
    ] = False,
) -> None:
    """Print the log of a trial with its epochs, or of the job or launch that wrote last."""
    from launcher.monitoring.logs import find, show
    from launcher.run.directory import RunDirectory

    show(find(RunDirectory.existing(run), trial), follow)


def cancel(run: Run) -> None:
    """Stop all jobs and launches of a run. Finished epochs are kept, and the same launch resumes from them."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    from launcher.monitoring.cancel_retry import cancel as stop

    stopped = stop(directory)
    say(f"stopped {', '.join(stopped)}" if stopped else f"{run}: no job or launch is working on it")


def retry(
    run: Run,
    failed: Annotated[bool, typer.Option("--failed", help="Submit only trials that failed.")] = False,
    cluster: Annotated[
        str | None,
        typer.Option(help="Use this cluster profile instead of the last one, for instance one with more memory."),
    ] = None,
) -> None:
    """Submit unfinished trials again, with the options of the last submission."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    from launcher.monitoring.cancel_retry import retry as again

    submission = again(directory, failed, cluster)
    if submission is None:
        say(f"{run}: nothing to submit")
    else:
        number = sum(map(len, submission.tasks))
        say(f"submitted {', '.join(f'job {job}' for job in submission.jobs)} with {number} trials")
