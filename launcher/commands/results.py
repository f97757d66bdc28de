"""`deepemotion-launch results RUN`: the tables of a run, and their evidence."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepemotion.console import say

if TYPE_CHECKING:
    from rich.table import Table

    from launcher.evidence.text_tables import TextTable


def results(run: Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")]) -> None:
    """Print the conditions side by side, each model's best one and its evidence, and write the run's tables."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    from rich.console import Console

    from launcher.evidence.evidence import write_evidence
    from launcher.run.read_only import with_writable_results
    from launcher.tables.tensorboard import write_aggregates

    directory = with_writable_results(directory)
    evidence = write_evidence(directory)
    write_aggregates(directory, evidence.tested)
    # Without a terminal there is no width to fit; fitting one would cut names.
    console = Console(width=None if sys.stdout.isatty() else 240)
    for table in evidence.tables:
        console.print(_rich(table))
    lines = [*evidence.controls, *evidence.pairs, *evidence.curves, *evidence.notes]
    lines.append(" · ".join(f"{count} {state}" for state, count in evidence.trials.states.items()))
    lines += [f"failed {row.trial}: {row.reason}" for row in evidence.trials.failed.table.itertuples()]
    # What it all comes to stands where a reader of a terminal looks first.
    lines += ["", *evidence.result]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    say(f"tables: {directory.tables}/")


def _rich(table: "TextTable") -> "Table":
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=table.title, title_justify="left")
    for column in table.columns:
        shown.add_column(column, justify="left" if column in table.words else "right", overflow="fold")
    for row in table.rows:
        # Not rich's markup: [60, 70] is an interval.
        shown.add_row(*(Text(cell) for cell in row))
    return shown
