"""`deepemotion-launch results RUN`: the tables of a run, and the best learning rate of each model."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepemotion.console import say

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from launcher.findings import Findings


def results(run: Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")]) -> None:
    """Show the best learning rate of each model, what it is evidence of, and write the tables."""
    from launcher.run_directory import RunDirectory

    directory = RunDirectory.existing(run)
    from rich.console import Console
    from rich.table import Table

    from launcher.findings import find
    from launcher.report import summary
    from launcher.results import best_learning_rates, write_tables

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
        _show(console, find(directory, trials))
    counts = trials["state"].value_counts().to_dict()
    console.print(" · ".join(f"{count} {state}" for state, count in counts.items()), highlight=False)
    for row in trials[trials["state"] == "failed"].to_dict("records"):
        console.print(f"failed {row['trial']}: {row['reason']}", highlight=False, soft_wrap=True)
    say(f"tables: {directory.tables}/")


def _show(console: "Console", findings: "Findings") -> None:
    from rich.table import Table

    from launcher.findings import best_rows, marks

    shown = Table(title="Evidence, folds and seeds put together; scores in %, [95 %]", title_justify="left")
    for column in ("model", "n", "accuracy", "balanced", "macro F1", "labels alone", "p", "Holm", "q"):
        shown.add_column(column, justify="left" if column == "model" else "right", no_wrap=True)
    for _, row in best_rows(findings.statistics).iterrows():
        model = row["training_set"] + (" on unseen" if row["split"] == "unseen" else "")
        scores = [_with_interval(row, name) for name in ("accuracy", "balanced_accuracy", "macro_f1")]
        scores[0] = f"{scores[0]} {marks(row)}".rstrip()
        p = [f"{row[name]:.2g}" if row[name] == row[name] else "" for name in ("p_conditions", "p_holm", "p_bh")]
        shown.add_row(model, str(row["n"]), *scores, f"{100 * row['label_only_accuracy']:.1f}", *p)
    console.print(shown)
    for pair in findings.paired.to_dict("records"):
        console.print(
            f"pooled against single-subject, {pair['condition']}: {100 * pair['pooled']:.1f} against"
            f" {100 * pair['single']:.1f} %, difference {100 * pair['difference']:+.1f}"
            f" [{100 * pair['low']:+.1f}, {100 * pair['high']:+.1f}], p = {pair['p']:.2g}, n = {pair['subjects']}"
            " subjects",
            highlight=False,
            soft_wrap=True,
        )
    for note in findings.notes:
        console.print(note, highlight=False, soft_wrap=True)


def _with_interval(row: "pd.Series", name: str) -> str:
    value, low, high = (100 * row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return f"{value:.1f}" + (f" [{low:.0f}, {high:.0f}]" if low == low else "")


def _percents(row: dict[Any, Any]) -> list[str]:
    mark = "" if row["beats_labels"] else " †"
    values = [f"{100 * row['accuracy_train']:.1f}", f"{100 * row['accuracy_validation']:.1f}{mark}"]
    return values + [f"{100 * row[key]:.1f}" for key in ("label_only_accuracy", "majority_accuracy", "chance")]
