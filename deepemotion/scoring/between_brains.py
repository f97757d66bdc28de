"""How well other brains predict a brain: correlations between subjects who perceived the same film.

Shape suffixes: S subjects, K features or voxels, T moments, R runs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from deepemotion.files import readable, whole_lines, write_text
from deepemotion.scoring import metrics
from deepemotion.scoring.ceiling import Estimate
from deepemotion.scoring.metrics import Floats

_VALUES = ("with_mean", "shared", "in_space")
_COLUMNS = ("alignment", "subject", "run", *_VALUES)


@dataclass(frozen=True)
class Agreement:
    """How each of S subjects agrees with the others in a run (S,).

    `with_mean` is the correlation with the mean of the others, `shared` the mean correlation with each of them.
    """

    with_mean: Floats
    shared: Floats


def agreement(features_SKT: Floats) -> Agreement:
    """Return how the subjects agree, over time and features together.

    Each feature is centred over time, and each subject scaled to a sum of squares of 1; a correlation is then a sum of
    products. It does not depend on how the features are rotated, which alignment leaves open. If subjects are the same
    signal and independent noise, the mean correlation of two of them is the share of their variance that is signal
    (Lage-Castellanos et al. 2019, PLoS Comput Biol 15:e1006397, have it for repetitions), and that with the mean of the
    others is higher, since averaging them removes noise (inter-subject correlation, Nastase et al. 2019, SCAN 14:667).
    A subject without variance is nan.
    """
    centred = features_SKT - features_SKT.mean(axis=-1, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=(-2, -1)))
    scaled = metrics.ratio(centred, norm[:, None, None])
    others = np.nansum(scaled, axis=0) - np.nan_to_num(scaled)
    product = (scaled * others).sum(axis=(-2, -1))
    others_norm = np.sqrt((others**2).sum(axis=(-2, -1)))
    return Agreement(metrics.ratio(product, others_norm), product / (len(scaled) - 1))


@dataclass(frozen=True)
class BetweenBrains:
    """How S subjects agree in each of R runs: values (R, 3, S) of `with_mean`, `shared` and `in_space`.

    `in_space` is the part of a subject's power that its features have; `alignment` says how these were found.
    """

    alignment: str
    subjects: tuple[str, ...]
    runs: tuple[int, ...]
    values: Floats

    @classmethod
    def of(cls, alignment: str, subjects: Iterable[str], runs: Iterable[tuple[int, Floats, Floats]]) -> Self:
        """Compute it from each run's number, features (S, K, T) and the power (S,) of the volumes that they are of."""
        numbers, values = [], []
        for run, features_SKT, power_S in runs:
            found = agreement(features_SKT)
            in_space = metrics.ratio((features_SKT**2).sum(axis=(-2, -1)), power_S)
            numbers.append(run)
            values.append(np.stack([found.with_mean, found.shared, in_space]))
        return cls(alignment, tuple(subjects), tuple(numbers), np.array(values))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` has written. Raises UserError for a file that is no such table, or a truncated one."""
        with readable(path, "write it again with deepemotion ceiling"):
            header, *rows = (line.split("\t") for line in whole_lines(path.read_bytes()))
            if header != list(_COLUMNS):
                raise ValueError("other columns")
            alignments, subjects, runs = (list(dict.fromkeys(column)) for column in list(zip(*rows, strict=True))[:3])
            if [row[1:3] for row in rows] != [[subject, run] for run in runs for subject in subjects]:
                raise ValueError("a subject lacks a run")
            flat = np.array([[float(value) for value in row[3:]] for row in rows])
            values = flat.reshape(len(runs), len(subjects), 3).transpose(0, 2, 1)
            return cls(" ".join(alignments), tuple(subjects), tuple(map(int, runs)), values)

    def write(self, path: Path) -> None:
        """Write a row for each run and subject, tab-separated, whole or not at all."""
        lines = ["\t".join(_COLUMNS)]
        for run, values in zip(self.runs, self.values, strict=True):
            for subject, of_subject in zip(self.subjects, values.T, strict=True):
                numbers = (f"{value:.6g}" for value in of_subject)
                lines.append("\t".join([self.alignment, subject, str(run), *numbers]))
        write_text(path, "\n".join(lines) + "\n")

    def estimate(self, name: str) -> Estimate:
        """Return the mean over subjects and runs of one of the values, with its 95 % interval from resampled runs."""
        by_run = np.nanmean(self.values[:, _VALUES.index(name)], axis=1)
        drawn = metrics.sums_drawer(np.arange(len(by_run)))
        return Estimate(float(by_run.mean()), *metrics.interval(drawn(by_run) / len(by_run)))

    def in_words(self) -> str:
        """Return a sentence on all subjects."""
        r, shared, in_space = (self.estimate(name) for name in _VALUES)
        return (
            f"a brain correlates with the mean of the others by {r.value:.3f} [{r.low:.3f}, {r.high:.3f}];"
            f" {100 * shared.value:.1f} % [{100 * shared.low:.1f}, {100 * shared.high:.1f}] of the variance in the"
            f" common space is shared, and {100 * in_space.value:.1f} % of all variance is in that space"
            f" ({self.alignment}; {len(self.subjects)} subjects, each of {len(self.runs)} runs left out)"
        )
