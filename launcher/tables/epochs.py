"""The epochs of a run's trials as one table."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from deepemotion.errors import UserError
from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory
from launcher.run.trial_files import EPOCH, REMEDY, REQUIRED_COLUMNS, TRAIN, VALIDATION, read_epochs

_OF_TRIAL = ("training_set", "condition", "fold", "seed")


def epochs_table(run: RunDirectory, trials: Iterable[PlannedTrial] | None = None) -> pd.DataFrame:
    """Return one row per epoch of every trial on true labels: trial, training_set, condition, fold, seed, metrics.

    Of `trials` alone where these are given. Raises UserError where a trial's epochs.tsv is missing though the trial is
    done, or is damaged.
    """
    # Texts are joined and parsed at once: parsing thousands of small files would take seconds.
    alike: defaultdict[str, list[tuple[PlannedTrial, str]]] = defaultdict(list)
    done: dict[str, bool] = {}
    for trial in run.read_plan() if trials is None else trials:
        if trial.permutation == 0:
            directory = run.trial(trial.name)
            # Asked first: a trial may end while its epochs are read.
            done[trial.name] = directory.result.exists()
            try:
                text = directory.epochs.read_text(encoding="utf-8", errors="replace")
            except FileNotFoundError:
                if done[trial.name]:
                    raise UserError(f"{directory.epochs}: missing, though the trial is done; {REMEDY}") from None
                continue
            header, _, rows = text.partition("\n")
            alike[header].append((trial, rows))
    if not alike:
        return pd.DataFrame(columns=["trial", *_OF_TRIAL, EPOCH])
    try:
        tables = [_parsed(header, parts) for header, parts in alike.items()]
        for table, parts in zip(tables, alike.values(), strict=True):
            _check(table, [trial for trial, _ in parts], done)
    except ValueError:
        for trial, _ in (part for parts in alike.values() for part in parts):
            # Read alone, the damaged one is named.
            read_epochs(run.trial(trial.name), trial, done[trial.name])
        raise
    return pd.concat(tables, ignore_index=True).astype({"fold": "Int64"})


def _parsed(header: str, parts: Sequence[tuple[PlannedTrial, str]]) -> pd.DataFrame:
    """Return the epochs of trials with equal columns, from their epochs.tsv. Raises ValueError where one is damaged."""
    if not all(rows.endswith("\n") for _, rows in parts):
        raise ValueError("a file ends too early")
    columns = header.split("\t")
    if len(set(columns)) < len(columns):
        raise ValueError("two columns have one name")
    text = "\n".join([header, *(rows.rstrip("\n") for _, rows in parts)])
    metrics: pd.DataFrame = csv.read_csv(
        pa.BufferReader(text.encode()),
        parse_options=csv.ParseOptions(delimiter="\t"),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.float64())),
    ).to_pandas()
    of_row = np.repeat(np.arange(len(parts)), [rows.count("\n") for _, rows in parts])
    if len(of_row) != len(metrics):
        raise ValueError("a file has empty lines")
    trials = pd.DataFrame(
        {
            "trial": [trial.name for trial, _ in parts],
            **{name: [getattr(trial, name) for trial, _ in parts] for name in _OF_TRIAL},
        }
    )
    return pd.concat([trials.loc[of_row].reset_index(drop=True), metrics], axis=1)


def _check(epochs: pd.DataFrame, trials: Sequence[PlannedTrial], done: dict[str, bool]) -> None:
    """Raise ValueError where epochs of trials are missing, doubled or impossible, or a column is not there."""
    if not set(REQUIRED_COLUMNS) <= set(epochs.columns):
        raise ValueError("a column is missing")
    by_trial = epochs.groupby("trial", sort=False)
    if (epochs[EPOCH] != by_trial.cumcount() + 1).any():
        raise ValueError("epochs are missing or doubled")
    if not (epochs[TRAIN].between(0, 1) & epochs[VALIDATION].between(0, 1)).all():
        raise ValueError("an accuracy is impossible")
    count = by_trial.size()
    for trial in trials:
        planned = trial.trial.train.epochs
        if count[trial.name] > planned or (done[trial.name] and count[trial.name] != planned):
            raise ValueError("a trial has another number of epochs than planned")
