"""`deepemotion-launch report RUN`: the HTML report."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import answer


def report(run: Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")]) -> None:
    """Write report.html and the figures from the run's tables, and print the path of the report."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    from launcher.report.html import write_report
    from launcher.run.read_only import with_writable_results

    answer(str(write_report(with_writable_results(directory))))
