"""`deepemotion-launch figures RUN`: draws the paper's figures and further ones, as PNG and SVG."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import answer, say
from deepemotion.errors import UserError


def figures(
    run: Annotated[Path, typer.Argument(help="Folder of the run: runs/NAME.")],
    subject: Annotated[
        str | None,
        typer.Option(help="Subject shown in figure 4 and the timeline, for instance 5; by default the paper's."),
    ] = None,
    emotion: Annotated[
        str | None, typer.Option(help="Emotion shown in figure 4; by default LOVE, as in the paper.")
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option(
            help="Draw only this condition, for instance lr-0.001; by default, each has its own set of figures."
        ),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="Folder with one CSV file per observer, which figure 1 needs.")
    ] = None,
) -> None:
    """Draw a run's figures into RUN/figures/ and print their names; docs/figures.md says what each shows."""
    from deepemotion.settings.subjects import parse_subjects
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    subjects = parse_subjects(subject) if subject is not None else [None]
    if len(subjects) != 1:
        raise UserError(f"--subject {subject}: give one subject")
    from deepemotion.figures import style
    from launcher.report.figure_data import Choice
    from launcher.report.figures import draw
    from launcher.report.run_figure import Drawn
    from launcher.tables.trials import write_tables

    trials = write_tables(directory)
    if not len(trials.done.true_labels):
        raise UserError(f"{run}: no trial is done yet; deepemotion-launch status {run} shows their states")
    for made in draw(directory, trials, Choice(condition, subjects[0], emotion, annotations)):
        if isinstance(made, Drawn):
            style.save(made.figure, directory.path / "figures", made.name)
            answer(str(directory.path / "figures" / f"{made.name}.png"))
        else:
            say(f"{made.name}: left out: {made.why}")
