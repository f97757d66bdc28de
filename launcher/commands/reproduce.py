"""`deepemotion-launch reproduce RUN --trial T`: trains a finished trial again and compares."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import EXIT_FAILED, answer, say, table


def reproduce(
    run: Annotated[Path, typer.Argument(help="Folder of the run, runs/NAME.")],
    trial: Annotated[str, typer.Option(help="Name of a finished trial, or its beginning.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder to keep the second training in; by default it is temporary.")
    ] = None,
) -> None:
    """Train a finished trial again elsewhere, and compare its metrics and predictions with the recorded ones."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    from tempfile import TemporaryDirectory

    from deepemotion.training.epoch_line import epoch_line
    from launcher.checking import reproduction

    planned = reproduction.find_finished(directory, trial)
    if out is not None:
        reproduction.require_elsewhere(directory, out)
    epochs = planned.trial.train.epochs

    def show(metrics: dict[str, float]) -> None:
        say(epoch_line(metrics, epochs))

    with TemporaryDirectory(prefix="deepemotion-reproduce-") as temporary:
        compared = reproduction.reproduce(directory, planned, out or Path(temporary), show)
    answer(f"{planned.name}\n{table(compared.rows)}\n{compared.conclusion}")
    if not compared.reproduced:
        raise typer.Exit(EXIT_FAILED)
