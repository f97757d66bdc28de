"""`deepemotion-launch results RUN`: the tables of a run, and the best learning rate of each model."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from deepemotion.console import say


def results(run: Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")]) -> None:
    """Show the best learning rate of each model beside what labels alone score, and write the tables."""
    from rich.console import Console
    from rich.table import Table

    from launcher.report import summary
    from launcher.results import best_learning_rates, write_tables
    from launcher.run_directory import RunDirectory

    directory = RunDirectory.existing(run)
    trials = write_tables(directory)
    best = best_learning_rates(trials)
    # Without a terminal there is no width to fit: 80 columns would cut the names.
    console = Console(width=None if sys.stdout.isatty() else 120)
    shown = Table(title=f"{run}: best condition of each model, accuracy in %", title_justify="left")
    for column in ("model", "condition", "trials", "train", "validation", "labels alone", "majority", "chance"):
        shown.add_column(column, justify="left" if column in ("model", "condition") else "right")
    for row in best.to_dict("records"):
        shown.add_row(str(row["training_set"]), str(row["condition"]), str(row["trials"]), *_percents(row))
    shown.add_section()
    for line in summary(best)[:1]:
        spread = f" ± {100 * line['sd']:.1f}" if line["sd"] == line["sd"] and line["sd"] is not None else ""
        accuracy = f"{100 * line['accuracy_validation']:.1f}{spread}"
        others = [f"{100 * line[key]:.1f}" for key in ("label_only_accuracy", "majority_accuracy", "chance")]
        shown.add_row(line["model"], "each its best", "", "", accuracy, *others)
    if len(best):
        console.print(shown)
        console.print("† does not exceed what labels alone, the majority class or chance score", highlight=False)
    counts = trials["state"].value_counts().to_dict()
    console.print(" · ".join(f"{count} {state}" for state, count in counts.items()), highlight=False)
    for row in trials[trials["state"] == "failed"].to_dict("records"):
        console.print(f"failed {row['trial']}: {row['reason']}", highlight=False, soft_wrap=True)
    say(f"tables: {directory.tables}/")


def _percents(row: dict[Any, Any]) -> list[str]:
    mark = "" if row["beats_labels"] else " †"
    values = [f"{100 * row['accuracy_train']:.1f}", f"{100 * row['accuracy_validation']:.1f}{mark}"]
    return values + [f"{100 * row[key]:.1f}" for key in ("label_only_accuracy", "majority_accuracy", "chance")]
