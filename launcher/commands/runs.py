"""`deepemotion-launch runs [FOLDER]`: the runs in a folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepemotion.console import AsJson, answer, answer_json, table

if TYPE_CHECKING:
    from launcher.monitoring.runs import RunSummary

# A column has room for so many models or protocols.
_MOST_NAMES = 3


def runs(
    folder: Annotated[Path, typer.Argument(help="Folder of runs, which is --runs of a launch.")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List the runs in a folder, the newest first: state, what they train, time of the last launch, best result."""
    from launcher.monitoring import runs as reader

    found = reader.summarise(reader.find(folder))
    if as_json:
        answer_json([_content(folder, one) for one in found])
        return
    titles = ("run", "state", "done", "protocol", "model", "subjects", "launched", "best", "labels alone", "trial")
    answer(table([titles, *map(_row, found)]))


def _row(one: "RunSummary") -> tuple[str, ...]:
    launched = one.launched.astimezone().strftime("%Y-%m-%d %H:%M")
    if one.problem:
        return (one.name, one.state, "", "", "", "", launched, "", "", one.problem)
    best = ("", "", "")
    if one.best is not None:
        best = (_percent(one.best.accuracy), _percent(one.best.label_only_accuracy), one.best.trial.name)
    done = f"{one.done}/{one.trials.total()}"
    return (
        one.name,
        one.state,
        done,
        _names(one.protocols),
        _names(one.models),
        str(len(one.subjects)),
        launched,
        *best,
    )


def _names(names: tuple[str, ...]) -> str:
    more = [f"{len(names) - _MOST_NAMES} more"] if len(names) > _MOST_NAMES else []
    return ", ".join([*names[:_MOST_NAMES], *more])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _content(folder: Path, one: "RunSummary") -> dict[str, Any]:
    best = None
    if one.best is not None:
        best = {
            "trial": one.best.trial.name,
            "training_set": one.best.trial.training_set,
            "condition": one.best.trial.condition,
            "protocol": one.best.trial.protocol,
            "accuracy_validation": one.best.accuracy,
            "label_only_accuracy": one.best.label_only_accuracy,
        }
    return {
        "run": one.name,
        "state": one.state,
        "problem": one.problem or None,
        "launched": one.launched.isoformat(),
        "trials": one.trials.total(),
        "states": one.trials,
        "protocols": one.protocols,
        "models": one.models,
        "subjects": one.subjects,
        "best": best,
    }
