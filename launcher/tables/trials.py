"""A run's trials as pandas tables: one row per trial, per epoch, or per predicted volume."""

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
from deepemotion.scoring import audit
from launcher.planning.plan import PlannedTrial, replaced
from launcher.run.directory import RunDirectory
from launcher.tables.predictions import write_predictions
from launcher.tables.selection import Trials

_OF_TRIAL = ("training_set", "condition", "fold", "seed")


def trials_table(run: RunDirectory) -> pd.DataFrame:
    """Return one row per planned trial, in the order of training set and learning rate; accuracies in [0, 1].

    Columns: trial, training_set, protocol, fold, permutation (0: true labels), learning_rate, seed, condition, state
    (`done`, `running`, `failed`, `pending`, or `replaced`, which will never be done because a later launch has new
    labels or volumes in its place), epochs (finished ones), accuracy_train, accuracy_validation, label_only_accuracy,
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
    for column in ("accuracy_train", "accuracy_validation", *audit.COLUMNS, "duration_s"):
        if column not in table:
            table[column] = float("nan")
    audits = table[list(audit.COLUMNS)].to_numpy()
    table["beats_labels"] = [audit.beats(*pair) for pair in zip(table["accuracy_validation"], audits, strict=True)]
    first = [
        *("trial", "training_set", "protocol", "fold", "permutation", "learning_rate", "seed", "condition", "state"),
        "epochs",
        *("accuracy_train", "accuracy_validation", *audit.COLUMNS, "duration_s", "reason", "beats_labels"),
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
    """Return one row per epoch of every trial on true labels: trial, training_set, condition, fold, seed, metrics.

    Raises UserError where a trial's epochs.tsv is torn.
    """
    # Texts are joined and parsed at once: parsing thousands of small files would take seconds.
    alike: defaultdict[str, list[tuple[PlannedTrial, str]]] = defaultdict(list)
    for trial in run.read_plan():
        if trial.permutation == 0:
            with suppress(FileNotFoundError):
                text = run.trial(trial.name).epochs.read_text(encoding="utf-8", errors="replace")
                header, _, rows = text.partition("\n")
                alike[header].append((trial, rows))
    if not alike:
        return pd.DataFrame(columns=["trial", *_OF_TRIAL, "epoch"])
    try:
        tables = [_parsed(header, parts) for header, parts in alike.items()]
    except ValueError:
        for trial, _ in (part for parts in alike.values() for part in parts):
            # Read alone, the torn one is named.
            run.trial(trial.name).read_epochs()
        raise
    return pd.concat(tables, ignore_index=True).astype({"fold": "Int64"})


def _parsed(header: str, parts: Sequence[tuple[PlannedTrial, str]]) -> pd.DataFrame:
    """Return the epochs of trials with equal columns, from their epochs.tsv. Raises ValueError where one is torn."""
    if not all(rows.endswith("\n") for _, rows in parts):
        raise ValueError("a file ends too early")
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


def write_tables(run: RunDirectory) -> Trials:
    """Write tables/predictions.parquet, epochs.parquet and trials.{csv,parquet}; return the trials.

    trials.parquet comes last: where it is younger than all results, everything is.
    """
    trials = trials_table(run)
    done = Trials(trials).done.table
    write_predictions(run, dict(zip(done["trial"], done["permutation"] > 0, strict=True)))
    _write_parquet(epochs_table(run), run.tables / "epochs.parquet")
    with atomic_path(run.tables / "trials.csv") as temporary:
        trials.to_csv(temporary, index=False)
    _write_parquet(trials, run.tables / "trials.parquet")
    return Trials(trials)


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)
