"""Scores of a model over its folds and seeds: counts of its predictions, and scores that need no brain data."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepemotion.scoring import audit, metrics


def tally(rows: pd.DataFrame, classes: Sequence[str]) -> metrics.Tally:
    """Return the sums over volumes that metrics are computed from, classes in this order.

    `rows` has label and prediction, and a probability p_CLASS per class for metrics that need it.
    """
    columns = [f"p_{name}" for name in classes]
    known = set(columns) <= set(rows.columns)
    # A class that is missing from a trial's labels has no probability.
    probability = rows[columns].fillna(0).to_numpy(dtype=np.float64) if known else None
    label, prediction = (_index(rows[column], classes) for column in ("label", "prediction"))
    return metrics.tally(label, prediction, probability, len(classes)).total()


def over_folds(trials: pd.DataFrame, column: str, split: str) -> float:
    """Return the mean of a score over trials (folds, seeds) of a model, weighted by their volumes of `split`."""
    if column not in trials or f"n_{split}" not in trials:
        return float("nan")
    # A fold without such volumes has no score.
    trials = trials[trials[f"n_{split}"] > 0]
    weight = trials[f"n_{split}"]
    return float((trials[column] * weight).sum(skipna=False) / weight.sum()) if len(trials) else float("nan")


def without_brain(trials: pd.DataFrame, split: str = "validation") -> dict[str, float]:
    """Return what labels alone, the majority class and chance score on the volumes of `split`, in [0, 1].

    For unseen subjects this is the score of knowing the movie from other subjects.
    """
    return {name: over_folds(trials, audit.column(name, split), split) for name in audit.COLUMNS}


def _index(names: pd.Series, classes: Sequence[str]) -> NDArray[np.int64]:
    index = {name: i for i, name in enumerate(classes)}
    return np.array([index[name] for name in names], dtype=np.int64)
