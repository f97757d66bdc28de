"""`deepemotion-launch report RUN`: writes the HTML report."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import answer


def report(run: Annotated[Path, typer.Argument(help="Folder of the run: runs/NAME.")]) -> None:
    """Write report.html and the figures from the run's tables, and print its path."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    from launcher.report.html import write_report

    answer(str(write_report(directory)))
