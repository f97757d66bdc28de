"""`deepemotion-launch figures RUN`: the paper's figures and those around them, as PNG and SVG."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import answer, say
from deepemotion.errors import UserError


def figures(
    run: Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")],
    subject: Annotated[
        str | None,
        typer.Option(help="Subject of figure 4 and the timeline; by default the paper's."),
    ] = None,
    emotion: Annotated[str | None, typer.Option(help="Emotion of figure 4; by default LOVE, the paper's.")] = None,
    condition: Annotated[
        str | None,
        typer.Option(help="Draw only this condition, for instance lr-0.001; by default draw all."),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="Folder with one CSV file per observer, which figure 1 needs.")
    ] = None,
) -> None:
    """Draw a run's figures into RUN/figures/ and print their names; docs/figures.md says what each shows."""
    from deepemotion.settings.subjects import parse_subjects
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    subjects: list[str] | list[None] = [None]
    if subject is not None:
        subjects = parse_subjects(subject, {label for trial in directory.read_plan() for label in trial.subjects})
    if len(subjects) != 1:
        raise UserError(f"--subject {subject}: give one subject")
    from deepemotion.figures import style
    from launcher.report.figure_data import Choice
    from launcher.report.figures import draw
    from launcher.report.run_figure import Drawn
    from launcher.tables.tensorboard import write_images
    from launcher.tables.trials import write_tables

    trials = write_tables(directory)
    if not len(trials.brain.done.true_labels):
        raise UserError(f"{run}: no trial is done yet; deepemotion-launch status {run} shows their states")
    for made in draw(directory, trials, Choice(condition, subjects[0], emotion, annotations)):
        if isinstance(made, Drawn):
            style.save(made.figure, directory.path / "figures", made.name)
            answer(str(directory.path / "figures" / f"{made.name}.png"))
        else:
            say(f"{made.name}: left out: {made.why}")
    write_images(directory, directory.path / "figures")
