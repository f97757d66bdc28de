"""`deepemotion-launch verify RUN`: whether every number of a run traces to its trial, settings, data and code."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import EXIT_FAILED, answer, say


def verify(
    run: Annotated[Path, typer.Argument(help="Folder of the run, runs/NAME.")],
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Also read every volume of the packed subjects, which takes minutes.")
    ] = False,
) -> None:
    """Check that every number of a run traces to a trial, its settings, data and code; print each problem."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    from launcher.checking.run import verify as check

    checked = check(directory, volumes)
    for problem in checked.problems:
        answer(problem)
    for note in checked.notes:
        say(f"note: {note}")
    problems = f"{len(checked.problems)} problem{'' if len(checked.problems) == 1 else 's'}"
    say(f"{run}: {checked.trials} trials, {checked.done} of them done, {checked.rows} rows of tables: {problems}")
    if checked.problems:
        raise typer.Exit(EXIT_FAILED)
