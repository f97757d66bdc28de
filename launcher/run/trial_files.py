"""Reads the files that a trial leaves, and checks them against the plan: what cannot be true is named as damage."""

from collections.abc import Mapping
from typing import Any

from deepemotion.errors import UserError
from deepemotion.training import integrity
from deepemotion.training.trial_directory import TrialDirectory
from launcher.planning.plan import PlannedTrial

EPOCH, TRAIN, VALIDATION, SECONDS = "epoch", "accuracy/train", "accuracy/validation", "time/epoch"
# Without these columns of epochs.tsv, nothing can be shown of a trial.
REQUIRED_COLUMNS = (EPOCH, TRAIN, VALIDATION)

# The checkpoint of the last epoch is kept: a trial whose result was deleted is not trained again, it only predicts.
RESULT_REMEDY = "delete it and launch again"
REMEDY = "delete it and result.json beside it, and launch again"


def read_result(directory: TrialDirectory, trial: PlannedTrial) -> dict[str, Any]:
    """Return the content of the result.json of a trial that is done.

    Raises UserError where it is missing, damaged or impossible, and where the predictions or the epochs are not those
    that it was written with.
    """
    result = directory.read_json(directory.result)
    if result is None:
        raise UserError(f"{directory.result}: missing; launch again")
    problem = result_problem(result, trial)
    if problem:
        raise UserError(f"{directory.result}: damaged ({problem}); {RESULT_REMEDY}")
    directory.require_recorded(result)
    return result


def result_problem(result: Mapping[str, Any], trial: PlannedTrial) -> str:
    """Return what is impossible about a trial's result, "" where nothing is."""
    try:
        integrity.require_possible(result)
    except ValueError as error:
        return str(error)
    planned = trial.trial.train.epochs
    return "" if result["epochs"] == planned else f"{result['epochs']} epochs where {planned} are planned"


def read_epochs(directory: TrialDirectory, trial: PlannedTrial, done: bool) -> list[dict[str, float]]:
    """Return the metrics of a trial's epochs so far, the first first; none where no epoch has finished.

    `done` says that the trial has its result, and so all of its epochs. Raises UserError where the file is truncated,
    has other columns, or where epochs are missing, doubled or impossible.
    """
    epochs = directory.read_epochs()
    problem = epochs_problem(epochs, trial, done)
    if problem:
        raise UserError(f"{directory.epochs}: damaged ({problem}); {REMEDY}")
    return epochs


def epochs_problem(epochs: list[dict[str, float]], trial: PlannedTrial, done: bool) -> str:
    """Return what is impossible about the epochs of a trial, "" where nothing is; `done` as in `read_epochs`."""
    planned = trial.trial.train.epochs
    if done and len(epochs) != planned:
        return f"{len(epochs)} of {planned} epochs"
    if len(epochs) > planned:
        return f"{len(epochs)} epochs where {planned} are planned"
    for number, metrics in enumerate(epochs, start=1):
        missing = [column for column in REQUIRED_COLUMNS if column not in metrics]
        if missing:
            return f"no column {missing[0]}"
        if metrics[EPOCH] != number:
            return f"epoch {metrics[EPOCH]:g} where {number} is due"
        for column in (TRAIN, VALIDATION):
            if not 0 <= metrics[column] <= 1:
                return f"{column} is {metrics[column]:g} in epoch {number}"
    return ""


def read_failure(directory: TrialDirectory) -> dict[str, str] | None:
    """Return the `reason` of a trial's failure and the `session` that it failed in, None for one that did not fail.

    Raises UserError where the file is damaged.
    """
    failure = directory.read_json(directory.failure)
    if failure is None:
        return None
    for key in ("reason", "session"):
        if not isinstance(failure.get(key), str):
            raise UserError(f"{directory.failure}: damaged (no {key}); delete it and launch again")
    return {key: failure[key] for key in ("reason", "session")}
