"""A run's trials as pandas tables: one row a trial, an epoch, a predicted volume."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from deepemotion.files import atomic_path, readable
from launcher.answers import SPLITS
from launcher.plan import PlannedTrial, replaced
from launcher.run_directory import RunDirectory

_AUDIT = ("label_only_accuracy", "majority_accuracy", "chance")
# The last checkpoint is there: a trial without its result only predicts again.
_REMEDY = "delete it and result.json beside it, and launch again"


def trials_table(run: RunDirectory) -> pd.DataFrame:
    """Return one row a planned trial, in the order of training set and learning rate; accuracies in [0, 1].

    Columns: trial, training_set, protocol, fold, permutation (0: true labels), learning_rate, seed, condition, state
    (`done`, `running`, `failed`, `pending`, or `replaced`, which will never be done since a later launch has new labels
    or volumes in its place), epochs (finished ones), accuracy_train, accuracy_validation, label_only_accuracy,
    majority_accuracy, chance, duration_s, reason (of a failure), beats_labels, missing (which classes have no volume on
    which side), setup (equal for trials that differ in subjects, fold, permutation and seed only; a condition names
    what is swept, and a later launch into the run may have changed other settings), then counts of volumes, further
    metrics, those on unseen subjects, and accuracy_SPLIT_EMOTION.
    """
    running = run.running()
    plan = run.read_plan()
    dead = replaced(plan)
    rows = [_row(run, trial, running, trial.name in dead) for trial in plan]
    table = pd.DataFrame(rows)
    for column in ("accuracy_train", "accuracy_validation", *_AUDIT, "duration_s"):
        if column not in table:
            table[column] = float("nan")
    table["beats_labels"] = table["accuracy_validation"] > table[list(_AUDIT)].max(axis=1)
    first = [
        *("trial", "training_set", "protocol", "fold", "permutation", "learning_rate", "seed", "condition", "state"),
        "epochs",
        *("accuracy_train", "accuracy_validation", *_AUDIT, "duration_s", "reason", "beats_labels"),
        *("missing", "setup"),
    ]
    rest = sorted(set(table.columns) - set(first))
    table = table[[*first, *rest]].astype({"fold": "Int64"})
    return table.sort_values(["training_set", "condition", "fold", "seed", "permutation"], ignore_index=True)


def _row(run: RunDirectory, trial: PlannedTrial, running: set[str], dead: bool) -> dict[str, Any]:
    directory = run.trial(trial.name)
    state = run.state(trial.name, running)
    if dead and state in ("failed", "pending"):
        state = "replaced"
    row: dict[str, Any] = {
        "trial": trial.name,
        "training_set": trial.training_set,
        "protocol": trial.protocol,
        "fold": trial.fold,
        "permutation": trial.permutation,
        "learning_rate": trial.learning_rate,
        "seed": trial.seed,
        "condition": trial.condition,
        "state": state,
        "epochs": 0,
        "reason": "",
        "missing": "",
        "setup": trial.setup,
    }
    if state == "done":
        result = directory.read_json(directory.result) or {}
        row |= {key: value for key, value in result.items() if isinstance(value, int | float)}
        row["missing"] = result.get("missing", "")
    else:
        row["epochs"] = len(directory.read_epochs())
    if state == "failed":
        row["reason"] = (directory.read_json(directory.failure) or {}).get("reason", "")
    return row


def epochs_table(run: RunDirectory) -> pd.DataFrame:
    """Return one row an epoch of every trial on true labels: trial, training_set, condition, fold, seed, metrics."""
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
        if trial.permutation == 0
        for metrics in run.trial(trial.name).read_epochs()
    ]
    columns = ["trial", "training_set", "condition", "fold", "seed", "epoch"]
    return pd.DataFrame(rows).astype({"fold": "Int64"}) if rows else pd.DataFrame(columns=columns)


def write_tables(run: RunDirectory) -> pd.DataFrame:
    """Write tables/trials.{parquet,csv}, epochs.parquet and predictions.parquet; return the trials' table.

    Of permuted trials the predictions of volumes that test are kept: nothing is made of the others, and they would be
    most of the file.
    """
    trials = trials_table(run)
    _write_parquet(trials, run.tables / "trials.parquet")
    with atomic_path(run.tables / "trials.csv") as temporary:
        trials.to_csv(temporary, index=False)
    _write_parquet(epochs_table(run), run.tables / "epochs.parquet")
    done = trials[trials["state"] == "done"]
    _write_all_predictions(run, dict(zip(done["trial"], done["permutation"] > 0, strict=True)))
    return trials


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def _write_all_predictions(run: RunDirectory, done: Mapping[str, bool]) -> None:
    """Write the predictions of the trials done, each with whether it is permuted, one after the other."""
    if not done:
        return
    paths = {name: run.trial(name).predictions for name in done}
    schemas = []
    for path in paths.values():
        with readable(path, _REMEDY):
            schemas.append(pq.read_schema(path))
    schema = pa.unify_schemas(schemas, promote_options="permissive")
    schema = schema.insert(0, pa.field("trial", pa.dictionary(pa.int32(), pa.string()))).remove_metadata()
    with (
        atomic_path(run.tables / "predictions.parquet") as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for name, path in paths.items():
            with readable(path, _REMEDY):
                part = pq.read_table(path, filters=[("split", "in", SPLITS)] if done[name] else None)
            part = part.add_column(0, "trial", pa.array([name] * len(part)).dictionary_encode())
            # Runs whose labels were changed have other classes: a probability that a trial has not is null.
            writer.write_table(pa.concat_tables([schema.empty_table(), part], promote_options="permissive"))
