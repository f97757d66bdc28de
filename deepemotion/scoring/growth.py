"""How accuracy grows with the number of runs or subjects that are trained on, and what twice as many would give.

Shape suffixes: U folds (with their models, seeds and draws), S sizes, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepemotion.scoring import metrics, power_law
from deepemotion.scoring.ceiling import Estimate
from deepemotion.scoring.metrics import Floats, Rows
from deepemotion.scoring.power_law import PowerLaw


@dataclass(frozen=True)
class Growth:
    """The accuracies at some sizes, the curve through them, and its value at twice the last size.

    Both are None where there are fewer than `power_law.FEWEST_SIZES`.
    """

    sizes: tuple[int, ...]
    accuracy: tuple[Estimate, ...]
    law: PowerLaw | None
    twice: Estimate | None


def growth(sizes: Sequence[int], right: Floats, n: Floats, unit: Rows) -> Growth:
    """Return the growth of accuracy over S sizes from `right` answers among `n` volumes (U, S) of U folds.

    Intervals are from resampling the units that the folds belong to, by number (U,): folds of a model, or models. The
    curve is fitted to each sample anew. With a single unit they are nan.
    """
    drawn = metrics.sums_drawer(unit)
    accuracy_S, accuracy_RS = right.sum(axis=0) / n.sum(axis=0), metrics.ratio(drawn(right), drawn(n))
    limits = [metrics.interval(values_R) for values_R in accuracy_RS.T]
    accuracy = tuple(Estimate(float(value), *ends) for value, ends in zip(accuracy_S, limits, strict=True))
    if len(sizes) < power_law.FEWEST_SIZES:
        return Growth(tuple(sizes), accuracy, None, None)
    numbers = np.array(sizes, np.float64)
    law, twice = power_law.fit(numbers, accuracy_S), 2.0 * numbers[-1]
    at_twice = metrics.interval(power_law.fit(numbers, accuracy_RS).at(twice))
    return Growth(tuple(sizes), accuracy, law, Estimate(float(law.at(twice)), *at_twice))
