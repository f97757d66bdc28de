"""`deepemotion-launch results RUN`: the tables of a run, and their evidence."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import AsJson, answer, answer_json, answer_table, say


def results(run: Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")], as_json: AsJson = False) -> None:
    """Print the conditions side by side, each model's best one and its evidence, and write the run's tables."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    from launcher.evidence.evidence import write_evidence
    from launcher.run.read_only import with_writable_results
    from launcher.tables.tensorboard import write_aggregates

    directory = with_writable_results(directory)
    evidence = write_evidence(directory)
    write_aggregates(directory, evidence.tested)
    if as_json:
        from launcher.evidence.numbers import numbers

        answer_json({"run": str(run), "tables": directory.tables, **numbers(evidence)})
        return
    for table in evidence.tables:
        answer_table(table.title, table.columns, table.rows, table.words)
    lines = [*evidence.controls, *evidence.pairs, *evidence.curves, *evidence.notes]
    lines.append(" · ".join(f"{count} {state}" for state, count in evidence.trials.states.items()))
    lines += [f"failed {row.trial}: {row.reason}" for row in evidence.trials.failed.table.itertuples()]
    # What it all comes to stands where a reader of a terminal looks first.
    lines += ["", *evidence.result]
    for line in lines:
        answer(line)
    say(f"tables: {directory.tables}/")
