"""`deepemotion-launch status RUN`: how far a run is, and what to do about trials that need attention."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepemotion.console import AsJson, answer, answer_json, say, table
from deepemotion.errors import UserError

if TYPE_CHECKING:
    from launcher.monitoring.status import TrialStatus
    from launcher.monitoring.summary import Summary

# Of more trials that need attention, the log is not printed unless they are asked for.
_MOST_LOGS = 3


def status(
    run: Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")],
    all_: Annotated[bool, typer.Option("--all", help="List every trial.")] = False,
    state: Annotated[
        str | None, typer.Option("--state", help="List only trials in these states: failed,running.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Watch until all trials have ended; Ctrl-C only stops watching.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how many trials are done, running, waiting or failed, the time left, and what needs attention."""
    from launcher.run.directory import RunDirectory

    states = None if state is None else _states(state)
    directory = RunDirectory.existing(run)
    from launcher.monitoring import status as reader
    from launcher.monitoring.summary import Summary
    from launcher.monitoring.watch import watch
    from launcher.run import selection_notes

    if follow:
        watch(directory)
    trials = reader.read(directory)
    notes = selection_notes.notes(directory)
    listed = [one for one in trials if states is None or one.state in states]
    if as_json:
        answer_json(_content(run, Summary(trials), listed, notes))
        return
    answer(_table(listed) if all_ or states is not None else Summary(trials).text)
    wrong = [one for one in listed if one.wrong]
    for number, one in enumerate(wrong):
        answer(_attention(one, with_log=all_ or states is not None or number < _MOST_LOGS))
    if len(wrong) > _MOST_LOGS and not all_ and states is None:
        answer(f"\nlogs of all {len(wrong)} trials that need attention: add --all")
    for sentence in notes:
        answer(sentence)
    say(f"at {time.strftime('%H:%M:%S')}")


def _states(text: str) -> set[str]:
    """Return the states that the text names. Raises UserError for one that does not exist."""
    from launcher.run.states import State

    wanted = {word.strip() for word in text.split(",")}
    unknown = sorted(wanted - set(State))
    if unknown:
        raise UserError(f"--state {text}: {unknown[0]!r} is no state; states are {', '.join(State)}")
    return wanted


def _table(trials: Sequence["TrialStatus"]) -> str:
    rows = [("trial", "state", "epochs", "validation", "detail")]
    for one in trials:
        accuracy = "" if one.accuracy is None else f"{100 * one.accuracy:.1f} %"
        epochs = f"{one.epochs}/{one.trial.trial.train.epochs}"
        rows.append((one.trial.name, one.state, epochs, accuracy, one.detail))
    return table(rows)


def _content(run: Path, summary: "Summary", listed: Sequence["TrialStatus"], notes: list[str]) -> dict[str, Any]:
    """Return the same as plain values; docs/terminal.md says what they are."""
    return {
        "run": str(run),
        "trials": len(summary.trials),
        "states": summary.states,
        "share_trained": summary.share,
        "epochs_per_second": summary.epochs_per_second,
        "seconds_left": summary.seconds_left,
        "best": None if summary.best is None else summary.best.trial.name,
        "notes": notes,
        "listed": [_trial_content(one) for one in listed],
    }


def _trial_content(one: "TrialStatus") -> dict[str, Any]:
    return {
        "trial": one.trial.name,
        "state": one.state,
        "detail": one.detail,
        "needs_attention": one.wrong,
        "try": one.hint or None,
        "epochs": one.epochs,
        "planned_epochs": one.trial.trial.train.epochs,
        "accuracy_validation": one.accuracy,
        "job": one.job,
        "job_state": None if one.job_state is None else one.job_state.state,
        "exit_code": None if one.job_state is None else one.job_state.exit_code or None,
        "log": one.log,
    }


def _attention(one: "TrialStatus", with_log: bool) -> str:
    """Return what is known about a trial that needs attention, and what to try."""
    if not with_log:
        return f"{one.trial.name}: {one.state}: {one.detail}"
    lines = [f"\n{one.trial.name}: {one.state}: {one.detail}"]
    if one.job_state is not None:
        lines.append(f"  SLURM: job {one.job}, {one.job_state.state}, exit code {one.job_state.exit_code or 'unknown'}")
    return "\n".join([*lines, f"  try: {one.hint}", *(f"  | {line}" for line in one.last_lines())])
