"""`deepemotion-launch status RUN`: the state of each trial, and what to do about those that need attention."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepemotion.console import answer, say, table

if TYPE_CHECKING:
    from launcher.monitoring.status import TrialStatus


def status(
    run: Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")],
    follow: Annotated[
        bool, typer.Option("--follow", help="Watch until all trials have ended; Ctrl-C only stops watching.")
    ] = False,
) -> None:
    """Show which trials are done, running, waiting (and for what) or failed (and why)."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    from launcher.monitoring import status as reader
    from launcher.monitoring.watch import watch
    from launcher.run import selection_notes

    if follow:
        watch(directory)
    trials = reader.read(directory)
    answer(_table(trials))
    for one in [trial for trial in trials if trial.wrong]:
        answer(f"\n{one.trial.name}: {one.state}: {one.detail}")
        if one.job_state is not None:
            answer(f"  SLURM: job {one.job}, {one.job_state.state}, exit code {one.job_state.exit_code or 'unknown'}")
        answer(f"  try: {one.hint}")
        for line in one.last_lines():
            answer(f"  | {line}")
    for sentence in selection_notes.notes(directory):
        answer(sentence)
    say(f"at {time.strftime('%H:%M:%S')}: " + reader.count_states(trials))


def _table(trials: Sequence["TrialStatus"]) -> str:
    rows = [("trial", "state", "epochs", "validation", "detail")]
    for one in trials:
        accuracy = "" if one.accuracy is None else f"{100 * one.accuracy:.1f} %"
        epochs = f"{one.epochs}/{one.trial.trial.train.epochs}"
        rows.append((one.trial.name, one.state, epochs, accuracy, one.detail))
    return table(rows)
