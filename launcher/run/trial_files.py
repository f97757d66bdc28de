"""Reads the files that a trial leaves, and checks them against the plan: what cannot be true is named as damage."""

import math
from collections.abc import Mapping
from typing import Any

from deepemotion.errors import UserError
from deepemotion.training.trial_directory import TrialDirectory
from launcher.planning.plan import PlannedTrial

EPOCH, TRAIN, VALIDATION = "epoch", "accuracy/train", "accuracy/validation"
# Without these columns of epochs.tsv and keys of result.json, nothing can be shown of a trial.
REQUIRED_COLUMNS = (EPOCH, TRAIN, VALIDATION)
_REQUIRED_KEYS = ("accuracy_train", "accuracy_validation", "epochs")
# The beginnings of the names of numbers in [0, 1], in [0, 2], and of counts.
_SHARES = ("accuracy_", "balanced_accuracy_", "macro_f1_", "ece_", "label_only_accuracy", "majority_accuracy", "chance")
_BRIER = "brier_"
_COUNTS = ("n_", "epochs", "best_epoch", "classes_missing_")

# The checkpoint of the last epoch is kept: a trial whose result was deleted is not trained again, it only predicts.
RESULT_REMEDY = "delete it and launch again"
REMEDY = "delete it and result.json beside it, and launch again"


def read_result(directory: TrialDirectory, trial: PlannedTrial) -> dict[str, Any]:
    """Return the content of the result.json of a trial that is done.

    Raises UserError where it is missing, damaged or impossible.
    """
    result = directory.read_json(directory.result)
    if result is None:
        raise UserError(f"{directory.result}: missing; launch again")
    problem = result_problem(result, trial)
    if problem:
        raise UserError(f"{directory.result}: damaged ({problem}); {RESULT_REMEDY}")
    return result


def result_problem(result: Mapping[str, Any], trial: PlannedTrial) -> str:
    """Return what is impossible about a trial's result, "" where nothing is."""
    missing = [key for key in _REQUIRED_KEYS if key not in result]
    if missing:
        return f"no {missing[0]}"
    for key, value in result.items():
        named = key.startswith((*_SHARES, _BRIER, *_COUNTS))
        if named and (isinstance(value, bool) or not isinstance(value, int | float)):
            return f"{key} is no number"
        if not isinstance(value, int | float):
            continue
        if not math.isfinite(value):
            return f"{key} is {value}"
        if (key.startswith(_SHARES) and not 0 <= value <= 1) or (key.startswith(_BRIER) and not 0 <= value <= 2):
            return f"{key} is {value:g}"
        if key.startswith(_COUNTS) and (value < 0 or value != int(value)):
            return f"{key} is {value:g}"
    if result["epochs"] != trial.trial.train.epochs:
        return f"{result['epochs']} epochs where {trial.trial.train.epochs} are planned"
    return "" if isinstance(result.get("missing", ""), str) else "missing is no text"


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
