"""Nested selection: inner folds choose a model's settings and its epoch, before the outer fold tests it. Pure."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from deepemotion.errors import UserError
from deepemotion.settings.schema import TRIAL_SECTIONS, described
from launcher.planning import identity
from launcher.planning.experiment import Experiment

# One fold tests, one validates, and one is left to train on.
FEWEST_FOLDS = 3
# Where a trial of the procedure stands in its plan, which is no part of the procedure.
_PLACE = {"split": {"fold", "outer"}, "data": {"permutation"}, "train": {"seed"}}
# What cannot be chosen by inner folds, and why.
_NOT_CHOSEN = {
    "train.epochs": "the epoch is chosen anyway, up to train.epochs",
    "data.permute": "permutations come before all choices",
    "split": "the inner and the outer folds are of one split",
}


@dataclass(frozen=True)
class Selection:
    """How the settings of a refit were chosen: by a `procedure`, from the swept values of these `keys`, and the epoch.

    `procedure` is eight hexadecimal digits for the values that could be chosen and all other settings.
    """

    procedure: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class InnerResult:
    """The validation accuracy of an inner trial after each epoch, and the number of its validation volumes."""

    accuracy: Sequence[float]
    volumes: int


def choose(candidates: Sequence[Sequence[InnerResult]]) -> tuple[int, int]:
    """Return the candidate, by its index, and the epoch (from 1) with the highest mean validation accuracy.

    A candidate is a combination of swept values, given by the results of its inner folds, which all have the same
    number of epochs. Folds are weighted by their volumes. Of equal means the one with fewer epochs wins, then the
    earlier candidate.
    """
    best, chosen = Fraction(-1), (0, 0)
    for epoch in range(1, min(len(fold.accuracy) for folds in candidates for fold in folds) + 1):
        for index, folds in enumerate(candidates):
            # Counts of volumes, and so exact: equal means must not be told apart by rounding.
            right = sum(round(fold.accuracy[epoch - 1] * fold.volumes) for fold in folds)
            mean = Fraction(right, sum(fold.volumes for fold in folds))
            if mean > best:
                best, chosen = mean, (index, epoch)
    return chosen


def chosen_keys(experiment: Experiment) -> tuple[str, ...]:
    """Return the swept settings that inner folds choose: all but those that replicates differ in."""
    return tuple(key for key in experiment.plan.sweep if key not in identity.REPLICATED)


def selection_of(experiment: Experiment) -> Selection:
    """Return the selection of an experiment: equal for launches that differ in subjects and permutations only."""
    sections = described(experiment.model_dump(mode="json", include=set(TRIAL_SECTIONS), exclude=_PLACE))
    keys = chosen_keys(experiment)
    fixed = {
        name: {key: value for key, value in section.items() if f"{name}.{key}" not in keys}
        for name, section in sections.items()
    }
    procedure: dict[str, Any] = {**fixed, "sweep": {key: experiment.plan.sweep[key] for key in keys}}
    return Selection(hashlib.sha256(json.dumps(procedure, sort_keys=True).encode()).hexdigest()[:8], keys)


def refuse(experiment: Experiment) -> None:
    """Raise UserError where an experiment asks for a nested selection that is none."""
    split = experiment.split
    if split.fold_is is None:
        raise UserError(f"plan.select=nested: split.protocol={split.protocol} has no folds; use run or block")
    if experiment.plan.compare:
        raise UserError("plan.select=nested: leave out plan.compare: one condition is left of what is swept")
    for key in experiment.plan.sweep:
        why = _NOT_CHOSEN.get(key) or _NOT_CHOSEN.get(key.partition(".")[0])
        if why is not None:
            raise UserError(f"plan.select=nested: {key} cannot be swept: {why}")
