"""The folds of a run's learning curves: which trainings belong to each, and how many volumes they answer rightly."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from deepemotion.scoring.metrics import Floats
from launcher.planning.training_sets import HELD_OUT_FOLD, LEFT_OUT, SINGLE
from launcher.tables.selection import KEYS, Trials

_FOLD = [*KEYS, "fold", "seed"]
# Right answers, volumes and training accuracies (S,) at S sizes.
Counts = tuple[Floats, Floats, Floats]


@dataclass(frozen=True)
class Fold:
    """A fold of one training set, seed and draw, with the counts at its sizes, None where a training is not done.

    `place` tells its curve apart: `KEYS`, split, over. The last size is the training set itself.
    """

    place: dict[str, Any]
    fold: int
    draw: int
    sizes: tuple[int, ...]
    counts: Counts | None


def folds_of(brain: Trials, right: pd.DataFrame) -> Iterator[Fold]:
    """Yield each fold that a learning curve of the brain's trials is planned for; `right` is of `held_out.read_right`.

    The volumes are those of left-out subjects where there are any, else those that validate; over subjects, those of
    the subject that comes first, which is in each part. A fold whose subjects have no such volume is left out.
    """
    models = {key: rows.iloc[0] for key, rows in _by_fold(brain.latest.true_labels.table)}
    answers = _Answers(brain, right)
    for key, of_fold in _by_fold(brain.parts.true_labels.table):
        if key not in models:
            continue
        for over in of_fold["curve"].unique():
            for _, parts in of_fold[of_fold["curve"] == over].groupby("draw"):
                yield from _fold(key, over, parts, models, answers)


def _fold(
    key: tuple[Any, ...],
    over: str,
    parts: pd.DataFrame,
    models: Mapping[tuple[Any, ...], pd.Series],
    answers: "_Answers",
) -> Iterator[Fold]:
    """Yield the fold of these parts of a model, unless it has no volumes that test."""
    order = parts["order"].iloc[0].split(" ")
    numbers = parts["train_runs" if over == "runs" else "train_subjects"]
    names = {int(size): name for size, name in zip(numbers, parts["trial"], strict=True)}
    names[len(order)] = models[key]["trial"]
    split = "unseen" if str(key[0]).startswith((LEFT_OUT, HELD_OUT_FOLD)) else "validation"
    first = order[0] if over == "subjects" and split == "validation" else None
    # One subject alone is a training set of its own.
    alone = models.get((f"{SINGLE}{first}", *key[1:]))
    if alone is not None:
        names.setdefault(1, alone["trial"])
    sizes = tuple(sorted(names))
    counts = answers.of([names[size] for size in sizes], split, first)
    if counts is None or counts[1].all():
        place = {**dict(zip(KEYS, key, strict=False)), "split": split, "over": over}
        yield Fold(place, int(key[4]), int(parts["draw"].iloc[0]), sizes, counts)


def _by_fold(table: pd.DataFrame) -> Iterator[tuple[tuple[Any, ...], pd.DataFrame]]:
    yield from table.assign(fold=table["fold"].fillna(0)).groupby(_FOLD, sort=False)


class _Answers:
    """How many held-out volumes of which subject each trial answers rightly, and its training accuracy."""

    def __init__(self, brain: Trials, right: pd.DataFrame) -> None:
        self._right: defaultdict[tuple[str, str], dict[str, tuple[int, int]]] = defaultdict(dict)
        for trial, split, subject, count, n in right.itertuples(index=False, name=None):
            self._right[trial, split][subject] = (count, n)
        done = brain.done.table
        self._train = dict(zip(done["trial"], done["accuracy_train"], strict=True))

    def of(self, names: list[str], split: str, subject: str | None) -> Counts | None:
        """Return the counts of trials on the volumes of this subject, or of all; None where one is not done."""
        if not all(name in self._train for name in names):
            return None
        counts = []
        for name in names:
            by_subject = self._right.get((name, split), {})
            own = [pair for other, pair in by_subject.items() if subject in (None, other)]
            counts.append((sum(right for right, _ in own), sum(n for _, n in own)))
        right, n = np.array(counts, np.float64).T
        return right, n, np.array([self._train[name] for name in names], np.float64)
