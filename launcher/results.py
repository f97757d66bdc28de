"""A run's trials as pandas tables: one row a trial, an epoch, a predicted volume; and the best learning rates."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from deepemotion.files import atomic_path
from launcher.plan import PlannedTrial
from launcher.predictions import write_predictions
from launcher.run_directory import RunDirectory

_OF_TRIAL = ("training_set", "condition", "fold", "seed")
_AUDIT = ("label_only_accuracy", "majority_accuracy", "chance")


def trials_table(run: RunDirectory) -> pd.DataFrame:
    """Return one row a planned trial, in the order of training set and learning rate; accuracies in [0, 1].

    Columns: trial, training_set, protocol, fold, permutation (0: true labels), learning_rate, seed, condition, state,
    epochs (finished ones), accuracy_train, accuracy_validation, label_only_accuracy, majority_accuracy, chance,
    duration_s, reason (of a failure), beats_labels, missing (which classes have no volume on which side), setup (equal
    for trials that differ in subjects, fold, permutation and seed only; a condition names what is swept, and a later
    launch into the run may have changed other settings), then counts of volumes, further metrics, those on unseen
    subjects, and accuracy_SPLIT_EMOTION.
    """
    running = run.running()
    rows = [_row(run, trial, running) for trial in run.read_plan()]
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


def _row(run: RunDirectory, trial: PlannedTrial, running: set[str]) -> dict[str, Any]:
    directory = run.trial(trial.name)
    state = run.state(trial.name, running)
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
        "setup": _setup(trial),
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


def _setup(trial: PlannedTrial) -> str:
    """Return eight hexadecimal digits for the settings that folds, permutations and seeds of one model share."""
    settings = json.loads(json.dumps(trial.settings))
    for section, key in (("split", "fold"), ("data", "permutation"), ("train", "seed")):
        del settings[section][key]
    del settings["subjects"], settings["unseen_subjects"]
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]


def epochs_table(run: RunDirectory) -> pd.DataFrame:
    """Return one row an epoch of every trial on true labels: trial, training_set, condition, fold, seed, metrics."""
    # Read together as text and parsed at once: parsing thousands of small files takes seconds.
    alike: defaultdict[str, list[tuple[PlannedTrial, str]]] = defaultdict(list)
    for trial in run.read_plan():
        if trial.permutation == 0:
            with suppress(FileNotFoundError):
                header, _, rows = run.trial(trial.name).epochs.read_text(encoding="utf-8").partition("\n")
                alike[header].append((trial, rows))
    if not alike:
        return pd.DataFrame(columns=["trial", *_OF_TRIAL, "epoch"])
    tables = [_parsed(header, parts) for header, parts in alike.items()]
    return pd.concat(tables, ignore_index=True).astype({"fold": "Int64"})


def _parsed(header: str, parts: Sequence[tuple[PlannedTrial, str]]) -> pd.DataFrame:
    """Return the epochs of trials with equal columns, from the rows of their epochs.tsv."""
    text = "\n".join([header, *(rows.rstrip("\n") for _, rows in parts)])
    metrics: pd.DataFrame = csv.read_csv(
        pa.BufferReader(text.encode()),
        parse_options=csv.ParseOptions(delimiter="\t"),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(header.split("\t"), pa.float64())),
    ).to_pandas()
    trials = pd.DataFrame(
        {
            "trial": [trial.name for trial, _ in parts],
            **{name: [getattr(trial, name) for trial, _ in parts] for name in _OF_TRIAL},
        }
    )
    of_row = np.repeat(np.arange(len(parts)), [rows.count("\n") for _, rows in parts])
    return pd.concat([trials.loc[of_row].reset_index(drop=True), metrics], axis=1)


def write_tables(run: RunDirectory) -> pd.DataFrame:
    """Write tables/trials.{parquet,csv}, epochs.parquet and predictions.parquet; return the trials' table."""
    trials = trials_table(run)
    _write_parquet(trials, run.tables / "trials.parquet")
    with atomic_path(run.tables / "trials.csv") as temporary:
        trials.to_csv(temporary, index=False)
    _write_parquet(epochs_table(run), run.tables / "epochs.parquet")
    done = trials[trials["state"] == "done"]
    write_predictions(run, dict(zip(done["trial"], done["permutation"] > 0, strict=True)))
    return trials


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def best_learning_rates(trials: pd.DataFrame) -> pd.DataFrame:
    """Return for each training set the condition with the highest validation accuracy, mean over folds and seeds.

    Choosing by validation accuracy flatters the chosen one; the table is for choosing, not for claiming.
    """
    done = trials[(trials["state"] == "done") & (trials["permutation"] == 0)]
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


def summary(best: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the lines of the summary: the single-subject models together (mean, SD), then every other model."""
    if best.empty:
        return []
    single = best[best["training_set"].str.startswith("sub-")]
    lines: list[dict[str, Any]] = []
    if len(single):
        columns = ["accuracy_validation", "label_only_accuracy", "majority_accuracy", "chance"]
        lines.append(
            {
                "model": f"single-subject (n = {len(single)})",
                "sd": single["accuracy_validation"].std(),
                "beaten": int(single["beats_labels"].sum()),
                "models": len(single),
                **{column: single[column].mean() for column in columns},
            }
        )
    for row in best[~best["training_set"].str.startswith("sub-")].to_dict("records"):
        named = {str(key): value for key, value in row.items()}
        lines.append(
            {**named, "model": row["training_set"], "sd": None, "beaten": int(row["beats_labels"]), "models": 1}
        )
    return lines
