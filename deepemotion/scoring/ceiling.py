"""The observers' ceiling: how well one observer predicts the label that the others give, on the volumes of a test.

A decoder cannot be expected to know an emotion better than people who watched the movie do. The ceiling is the accuracy
of an observer who is held against the label that the other observers decide (see `labels.leave_one_out`), so it is a
yardstick and not a bound: the label is what most observers agree on, and each of them has slips that it averages out.
Shape suffixes: N volumes, C classes, R resamples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepemotion.files import write_text
from deepemotion.scoring import metrics
from deepemotion.scoring.metrics import Floats, Rows


@dataclass(frozen=True)
class Estimate:
    """A share and its 95 % interval, nan where it is not defined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Ceiling:
    """What observers score on the volumes of a test; shares in [0, 1], those of an accuracy may exceed 1."""

    overall: Estimate
    by_class: tuple[Estimate, ...]
    """Over the volumes with each label; nan for a class in which no observer could be compared."""
    share: Estimate | None
    """The accuracy of a decoder on the same volumes, divided by `overall`; None where none was given."""


def observers_ceiling(
    compared: Floats, right: Floats, label: Rows, block: Rows, classes: int, correct: Floats | None = None
) -> Ceiling:
    """Return the ceiling on N volumes: observers who are right over observers who could be compared, over all volumes.

    `compared` and `right` (N,) are as in `ObserverScores`, `label` (N,) the class index and `block` (N,) the stretch of
    the movie (`movie_blocks.label_blocks`). `correct` (N,), 0 or 1, are a decoder's answers. Intervals are from
    resampled blocks; the quotient of accuracy and ceiling is formed in each sample, in which both rest on the same
    stretches.
    """
    members_NC = np.eye(classes)[label]
    drawn = metrics.sums_drawer(block)
    compared_NC, right_NC = members_NC * compared[:, None], members_NC * right[:, None]
    compared_C, right_C = compared_NC.sum(axis=0), right_NC.sum(axis=0)
    compared_RC, right_RC = drawn(compared_NC), drawn(right_NC)
    overall, overall_R = _ratio(right.sum(), compared.sum()), _ratio(right_RC.sum(axis=1), compared_RC.sum(axis=1))
    shares_C, shares_RC = _ratio(right_C, compared_C), _ratio(right_RC, compared_RC)
    share = None
    if correct is not None:
        accuracy_R = _ratio(drawn(correct), drawn(np.ones(len(correct))))
        accuracy = _ratio(correct.sum(), np.float64(len(correct)))
        share = _estimate(_ratio(accuracy, overall), _ratio(accuracy_R, overall_R))
    by_class = tuple(_estimate(shares_C[i], shares_RC[:, i]) for i in range(classes))
    return Ceiling(_estimate(overall, overall_R), by_class, share)


def in_words(ceiling: Ceiling, classes: Sequence[str]) -> str:
    """Return the ceiling in percent with its interval and by class: `81.2 % [75, 86]: ANGER 78.9, FEAR 81.2`."""
    one = ceiling.overall
    interval = f" [{100 * one.low:.0f}, {100 * one.high:.0f}]" if one.low == one.low else ""
    known = [
        f"{name} {100 * of_class.value:.1f}"
        for name, of_class in zip(classes, ceiling.by_class, strict=True)
        if of_class.value == of_class.value
    ]
    return f"{100 * one.value:.1f} %{interval}" + (f": {', '.join(known)}" if known else "")


def write(path: Path, ceiling: Ceiling, classes: Sequence[str]) -> None:
    """Write the ceiling overall (`ALL`) and by class as a table, tab-separated, atomically."""
    rows = [("ALL", ceiling.overall), *zip(classes, ceiling.by_class, strict=True)]
    lines = ["class\tceiling\tlow\thigh"]
    lines += [f"{name}\t{one.value:.4f}\t{one.low:.4f}\t{one.high:.4f}" for name, one in rows]
    write_text(path, "\n".join(lines) + "\n")


def _estimate(value: Floats | np.float64, drawn_R: Floats) -> Estimate:
    return Estimate(float(value), *metrics.interval(drawn_R))


def _ratio(above: Floats | np.float64, below: Floats | np.float64) -> Floats:
    return metrics.ratio(np.asarray(above), np.asarray(below))
