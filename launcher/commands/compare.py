"""`deepemotion-launch compare RUN RUN ...`: the conditions of several runs in one table."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import AsJson, answer, answer_json, answer_table, say
from deepemotion.errors import UserError


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of two or more runs, runs/NAME.")],
    report: Annotated[Path | None, typer.Option(help="Also write an HTML report to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the conditions of several runs in one table, and whether their accuracies are comparable."""
    if len({path.resolve() for path in runs}) < max(2, len(runs)):
        raise UserError("give two or more different runs")
    from launcher.run.directory import RunDirectory

    directories = [RunDirectory.existing(path) for path in runs]
    from launcher.evidence.compared_runs import compare as compared

    found = compared(directories)
    if report is not None:
        from launcher.report.html import write_comparison

        write_comparison(found, report)
        say(f"report: {report}")
    if as_json:
        answer_json(found.numbers())
        return
    table = found.table
    if table.rows:
        answer_table(table.title, table.columns, table.rows, table.words)
    for run in found.runs:
        if run.scores.empty:
            answer(f"{run.name}: no trial is done yet")
    for note in found.legend:
        answer(note)
    answer(found.verdict)
    for sentence in found.differences:
        answer(f"  {sentence}")
