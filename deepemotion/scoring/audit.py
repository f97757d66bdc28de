"""The label-only audit: scores on the same volumes without any brain data, and whether a decoder beats them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

# The names of the audit's scores in results and tables, in the order of `Audit`.
COLUMNS = ("label_only_accuracy", "majority_accuracy", "chance")


@dataclass(frozen=True)
class Audit:
    """Accuracies, in [0, 1], reached without brain data. A decoder that does not beat all of them is no evidence."""

    label_only: float
    majority: float
    chance: float

    @classmethod
    def of(
        cls, movie_time: NDArray[np.float64], label: Rows, training: Rows, validation: Rows, classes: int
    ) -> "Audit":
        """Score label-only predictors on the validation rows of volumes with these movie times (s) and labels, (N,).

        `label_only` copies the label of the training volume nearest in movie time (the earlier one of two equally
        near), `majority` always answers the commonest training label (the first class among equals), `chance` is
        1 / classes.
        """
        order = training[np.argsort(movie_time[training], kind="stable")]
        time = movie_time[order]
        tested = movie_time[validation]
        after = np.clip(np.searchsorted(time, tested), 0, len(time) - 1)
        before = np.maximum(after - 1, 0)
        nearest = order[np.where(np.abs(tested - time[before]) <= np.abs(time[after] - tested), before, after)]
        commonest = np.bincount(label[training], minlength=classes).argmax()
        return cls(
            label_only=float(np.mean(label[nearest] == label[validation])),
            majority=float(np.mean(label[validation] == commonest)),
            chance=1 / classes,
        )

    @property
    def scores(self) -> tuple[float, float, float]:
        """All three, in the order of `COLUMNS`."""
        return self.label_only, self.majority, self.chance

    def columns(self, side: str) -> dict[str, float]:
        """Return the scores under their names in results and tables for the volumes of `side`."""
        return {column(name, side): score for name, score in zip(COLUMNS, self.scores, strict=True)}


def column(name: str, side: str) -> str:
    """Return the name of one of `COLUMNS` for the volumes of `side`; chance is the same on every side."""
    return name if side == "validation" or name == "chance" else f"{name}_{side}"


def beats(accuracy: float, scores: Iterable[float]) -> bool:
    """Return whether an accuracy exceeds all scores of an audit; False if one of them is unknown (nan)."""
    return all(accuracy > score for score in scores)
