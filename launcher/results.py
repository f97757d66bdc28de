"""A run's trials as pandas tables: one row a trial, an epoch, a predicted volume; and the best learning rates."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from deepemotion.evaluation import write_predictions
from deepemotion.files import atomic_path
from launcher.plan import PlannedTrial
from launcher.run_directory import RunDirectory

_AUDIT = ("label_only_accuracy", "majority_accuracy", "chance")


def trials_table(run: RunDirectory) -> pd.DataFrame:
    """Return one row a planned trial, in the order of training set and learning rate; accuracies in [0, 1].

    Columns: trial, training_set, protocol, fold, learning_rate, seed, condition, state, epochs (finished ones),
    accuracy_train, accuracy_validation, label_only_accuracy, majority_accuracy, chance, duration_s, reason (of a
    failure), beats_labels, then the counts of volumes, accuracies on unseen subjects, and accuracy_SPLIT_EMOTION.
    """
    held = run.is_held()
    rows = [_row(run, trial, held) for trial in run.read_plan()]
    table = pd.DataFrame(rows)
    for column in ("accuracy_train", "accuracy_validation", *_AUDIT, "duration_s"):
        if column not in table:
            table[column] = float("nan")
    table["beats_labels"] = table["accuracy_validation"] > table[list(_AUDIT)].max(axis=1)
    first = [
        *("trial", "training_set", "protocol", "fold", "learning_rate", "seed", "condition", "state", "epochs"),
        *("accuracy_train", "accuracy_validation", *_AUDIT, "duration_s", "reason", "beats_labels"),
    ]
    rest = sorted(set(table.columns) - set(first))
    table = table[[*first, *rest]].astype({"fold": "Int64"})
    return table.sort_values(["training_set", "condition", "fold", "seed"], ignore_index=True)


def _row(run: RunDirectory, trial: PlannedTrial, held: bool) -> dict[str, Any]:
    directory = run.trial(trial.name)
    state = run.state(trial.name, held)
    row: dict[str, Any] = {
        "trial": trial.name,
        "training_set": trial.training_set,
        "protocol": trial.protocol,
        "fold": trial.fold,
        "learning_rate": trial.learning_rate,
        "seed": trial.seed,
        "condition": trial.condition,
        "state": state,
        "epochs": 0,
        "reason": "",
    }
    if state == "done":
        result = directory.read_json(directory.result) or {}
        row |= {key: value for key, value in result.items() if isinstance(value, int | float)}
    else:
        row["epochs"] = len(directory.read_epochs())
    if state == "failed":
        row["reason"] = (directory.read_json(directory.failure) or {}).get("reason", "")
    return row


def epochs_table(run: RunDirectory) -> pd.DataFrame:
    """Return one row an epoch of every trial: trial, training_set, condition, fold, seed, and the epoch's metrics."""
    rows = [
        {
            "trial": trial.name,
            "training_set": trial.training_set,
            "condition": trial.condition,
            "fold": trial.fold,
            "seed": trial.seed,
            **metrics,
        }
        for trial in run.read_plan()
        for metrics in run.trial(trial.name).read_epochs()
    ]
    columns = ["trial", "training_set", "condition", "fold", "seed", "epoch"]
    return pd.DataFrame(rows).astype({"fold": "Int64"}) if rows else pd.DataFrame(columns=columns)


def write_tables(run: RunDirectory) -> pd.DataFrame:
    """Write tables/trials.{parquet,csv}, epochs.parquet and predictions.parquet; return the trials' table."""
    trials = trials_table(run)
    _write_parquet(trials, run.tables / "trials.parquet")
    with atomic_path(run.tables / "trials.csv") as temporary:
        trials.to_csv(temporary, index=False)
    _write_parquet(epochs_table(run), run.tables / "epochs.parquet")
    _write_all_predictions(run, trials.loc[trials["state"] == "done", "trial"].tolist())
    return trials


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def _write_all_predictions(run: RunDirectory, done: list[str]) -> None:
    parts = []
    for name in done:
        part = pq.read_table(run.trial(name).predictions)
        column = pa.array([name] * len(part)).dictionary_encode()
        parts.append(part.add_column(0, "trial", column))
    if parts:
        table = pa.concat_tables(parts, promote_options="permissive").unify_dictionaries()
        write_predictions(run.tables / "predictions.parquet", table)


def best_learning_rates(trials: pd.DataFrame) -> pd.DataFrame:
    """Return for each training set the condition with the highest validation accuracy, mean over folds and seeds.

    Choosing by validation accuracy flatters the chosen one; the table is for choosing, not for claiming.
    """
    done = trials[trials["state"] == "done"]
    if done.empty:
        return done
    keys = ["training_set", "condition"]
    values = ["learning_rate", "accuracy_train", "accuracy_validation", *_AUDIT]
    mean = done.groupby(keys, sort=False)[values].mean()
    mean["trials"] = done.groupby(keys, sort=False).size()
    best = mean.groupby("training_set", sort=False)["accuracy_validation"].idxmax()
    table = mean.loc[best.tolist()].reset_index()
    table["beats_labels"] = table["accuracy_validation"] > table[list(_AUDIT)].max(axis=1)
    return table
