"""`deepemotion-launch results RUN`: prints the tables of a run, and the evidence in them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepemotion.console import say

if TYPE_CHECKING:
    from rich.table import Table

    from launcher.evidence.text_tables import TextTable


def results(run: Annotated[Path, typer.Argument(help="Folder of the run: runs/NAME.")]) -> None:
    """Compare the conditions, show the best of each model and the evidence for it, and write the tables."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    from rich.console import Console

    from launcher.evidence.evidence import write_evidence

    evidence = write_evidence(directory)
    # Without a terminal rich assumes 80 columns, which would truncate names.
    console = Console(width=None if sys.stdout.isatty() else 240)
    for table in evidence.tables:
        console.print(_rich(table))
    lines = [*evidence.pairs, *evidence.notes]
    lines.append(" · ".join(f"{count} {state}" for state, count in evidence.trials.states.items()))
    lines += [f"failed {row.trial}: {row.reason}" for row in evidence.trials.failed.table.itertuples()]
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
        # As Text, since rich would read an interval such as [60, 70] as markup.
        shown.add_row(*(Text(cell) for cell in row))
    return shown
