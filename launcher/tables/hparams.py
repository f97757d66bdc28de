"""The rows of TensorBoard's page HParams: settings that were swept beside the scores of the tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Any

import pandas as pd
from tensorboard.plugins.hparams.api_pb2 import (
    DATA_TYPE_FLOAT64,
    DATA_TYPE_STRING,
    Experiment,
    HParamInfo,
    MetricInfo,
    MetricName,
)

from deepemotion.settings.schema import TRIAL_SECTIONS
from launcher.planning.plan import PlannedTrial
from launcher.planning.training_sets import HELD_OUT_FOLD, LEFT_OUT, POOLED, SINGLE
from launcher.run.states import State
from launcher.tables import conditions
from launcher.tables.event_files import Events
from launcher.tables.selection import Trials

# What a model's trials differ in anyway.
_NOT_SWEPT = {"split.fold", "split.outer", "data.permutation", "data.control", "train.seed"}
_KINDS = {SINGLE: "single-subject", POOLED: "pooled", LEFT_OUT: "left-out subject", HELD_OUT_FOLD: "held-out fold"}
# What else trials differ in, as columns of `trials_table`.
_OF_TRIAL = ("training_set", "protocol", "fold", "seed", "permutation", "control")
# A group of TensorBoard's cards that comes after figure 3 and before the trials.
_GROUP = "table"
COLUMNS = {
    "accuracy": "accuracy",
    "balanced accuracy": "balanced_accuracy",
    "macro F1": "macro_f1",
    "labels alone": "label_only_accuracy",
}


# The scores of models that the evidence of a run tested, by kind of model, condition and setup.
Tested = Mapping[tuple[str, str, str], Mapping[str, float]]


@dataclass(frozen=True)
class Row:
    """One row: a name, the values of what differs between rows, and the scores that are known."""

    name: str
    settings: Mapping[str, float | str]
    metrics: Mapping[str, float]

    @property
    def known(self) -> dict[str, float]:
        """The scores that are known."""
        return {name: value for name, value in self.metrics.items() if not pd.isna(value)}


def swept(plan: Iterable[PlannedTrial]) -> dict[str, dict[str, float | str]]:
    """Return for each trial of the brain the settings, such as `train.learning_rate`, in which these trials differ."""
    flat = {trial.name: _flat(trial) for trial in plan if not trial.control and trial.outer is None}
    keys = sorted(set().union(*flat.values()) - _NOT_SWEPT)
    differ = [key for key in keys if len({settings.get(key) for settings in flat.values()}) > 1]
    return {name: {key: settings[key] for key in differ if key in settings} for name, settings in flat.items()}


def _flat(trial: PlannedTrial) -> dict[str, float | str]:
    content = trial.trial.model_dump(mode="json", include=set(TRIAL_SECTIONS))
    values = {f"{section}.{key}": value for section, keys in content.items() for key, value in keys.items()}
    return {key: value if type(value) in (int, float) else str(value) for key, value in values.items()}


def model_rows(plan: Sequence[PlannedTrial], trials: Trials, tested: Tested) -> list[Row]:
    """Return a row for each condition and kind of model of which trials are done, the most accurate first.

    Scores are means over subjects, folds and seeds, or those that were `tested`, which include best control and p.
    """
    settings = swept(plan)
    done = trials.brain.latest.true_labels.done.table
    done = done[done["trial"].isin(settings)]
    done = done.assign(name=conditions.names(done), kind=done["training_set"].map(kind_of))
    several = done["kind"].nunique() > 1
    rows = []
    for (name, kind), models in done.groupby(["name", "kind"], sort=False):
        split = split_of(str(kind))
        values = {key: _common(settings[trial].get(key, "") for trial in models["trial"]) for key in _keys(settings)}
        means = {title: _mean(models, f"{column}_{split}", column) for title, column in COLUMNS.items()}
        means |= tested.get((str(kind), *models[["condition", "setup"]].iloc[0]), {})
        rows.append(Row(f"{name} {kind}", ({"model": str(kind)} if several else {}) | values, means))
    return _of_one_type(sorted(rows, key=lambda row: -row.metrics["accuracy"]))


def trial_rows(plan: Sequence[PlannedTrial], trials: Trials) -> list[Row]:
    """Return a row for each trial, with what it differs in from the others; without scores while it is not done."""
    settings = swept(plan)
    table = trials.table
    differ = [column for column in _OF_TRIAL if table[column].nunique(dropna=False) > 1]
    rows = []
    for trial in table.to_dict("records"):
        values = {column: _plain(trial[column]) for column in differ} | settings.get(trial["trial"], {})
        scores = {title: trial.get(f"{column}_validation", trial.get(column, nan)) for title, column in COLUMNS.items()}
        rows.append(Row(trial["trial"], values, scores if trial["state"] == State.DONE else {}))
    return _of_one_type(rows)


def add_columns(events: Events, rows: Sequence[Row], scores: Iterable[str]) -> None:
    """Add the columns of the page: every setting that a row has, and these scores."""
    types = {key: isinstance(value, str) for row in rows for key, value in row.settings.items()}
    settings = [
        HParamInfo(name=key, type=DATA_TYPE_STRING if is_text else DATA_TYPE_FLOAT64, differs=True)
        for key, is_text in types.items()
    ]
    metrics = [MetricInfo(name=MetricName(tag=f"{_GROUP}/{name}"), display_name=name) for name in scores]
    events.experiment(Experiment(hparam_infos=settings, metric_infos=metrics))


def add_row(events: Events, row: Row) -> None:
    """Add a row, to the events of its own folder."""
    events.row(row.settings, {f"{_GROUP}/{name}": value for name, value in row.known.items()}, row.name)


def _of_one_type(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with numbers as texts where another row has a text for the same setting."""
    texts = {key for row in rows for key, value in row.settings.items() if isinstance(value, str)}
    return [replace(row, settings={k: str(v) if k in texts else v for k, v in row.settings.items()}) for row in rows]


def _keys(settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for of_trial in settings.values() for key in of_trial))


def kind_of(training_set: str) -> str:
    """Return the kind of model that a training set makes, by the beginning of its name."""
    return next((kind for beginning, kind in _KINDS.items() if training_set.startswith(beginning)), training_set)


def split_of(kind: str) -> str:
    """Return the split that a kind of model is judged by."""
    return "unseen" if kind in (_KINDS[LEFT_OUT], _KINDS[HELD_OUT_FOLD]) else "validation"


def _common(values: Iterable[float | str]) -> float | str:
    """Return the value that all have, or several as a text: inner folds may have chosen others for each fold."""
    several = list(dict.fromkeys(values))
    if len(several) == 1:
        return several[0]
    return ", ".join(value if isinstance(value, str) else f"{value:g}" for value in several)


def _mean(models: pd.DataFrame, *columns: str) -> float:
    """Return the mean of the first of these columns that there is."""
    return next((float(models[column].mean()) for column in columns if column in models), float("nan"))


def _plain(value: Any) -> float | str:
    if pd.isna(value):
        return "none"
    return value if isinstance(value, str) else float(value)
