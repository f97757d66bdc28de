"""The refits of a nested selection: which inner trials choose the settings of each, and what is planned then. Pure.

There is one for each training set, outer fold, permutation and seed.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepemotion.training.checksums import data_digest
from launcher.planning import identity
from launcher.planning.experiment import Experiment
from launcher.planning.facts import DataFacts
from launcher.planning.nested import chosen_keys, selection_of
from launcher.planning.plan import PlannedTrial, combinations, trials_with
from launcher.planning.planned_set import PlannedSet
from launcher.planning.training_sets import training_sets


@dataclass(frozen=True, order=True)
class Place:
    """Where a refit is among those of its procedure."""

    training_set: str
    outer: int
    permutation: int
    seed: int

    @classmethod
    def of(cls, refit: PlannedTrial) -> "Place":
        """Return the place of a refit that is planned."""
        return cls(refit.training_set, refit.fold or 0, refit.permutation, refit.seed)

    @classmethod
    def of_inner(cls, trial: PlannedTrial) -> "Place":
        """Return the place of the refit that an inner trial belongs to."""
        return cls(trial.training_set, trial.outer or 0, trial.permutation, trial.seed)


@dataclass(frozen=True)
class Candidate:
    """A combination of swept values that may be chosen, and the names of its inner trials, one for each inner fold."""

    values: dict[str, Any]
    inner: list[str]


@dataclass(frozen=True)
class Refit:
    """A refit before anything is chosen; `data` are the digests of the data that it may be planned for."""

    place: Place
    candidates: list[Candidate] = field(default_factory=list)
    data: set[str] = field(default_factory=set)

    @property
    def inner(self) -> list[str]:
        """The names of all its inner trials."""
        return [name for candidate in self.candidates for name in candidate.inner]


def refits(experiment: Experiment, data: DataFacts, only: Iterable[Place] | None = None) -> list[Refit]:
    """Return the refits of an experiment with a nested selection: all, or those of the places `only`.

    Of these places all seeds are returned. Raises UserError as `make_plan` does.
    """
    wanted = None if only is None else _outer_folds(only)
    every = range(experiment.plan.permutations + 1)
    sets = {one.name: one for one in _sets(experiment, data, None if wanted is None else {name for name, _ in wanted})}
    parts: list[tuple[str, Sequence[int], set[int] | None]] = [(name, every, None) for name in sets]
    if wanted is not None:
        parts = [(name, [permutation], folds) for (name, permutation), folds in wanted.items() if name in sets]
    keys, found = chosen_keys(experiment), dict[Place, Refit]()
    for settings, swept in combinations(experiment):
        inner: defaultdict[Place, list[str]] = defaultdict(list)
        for name, permutations, folds in parts:
            for trial in trials_with(settings, swept, permutations, data, [sets[name]], inner=True, only=folds):
                inner[Place.of_inner(trial)].append(trial.name)
        atlas = None if settings.model.atlas is None else data.atlases[settings.model.atlas]
        digests = {name: data_digest(one.checksums(atlas, settings.data)) for name, one in sets.items()}
        for place, names in inner.items():
            refit = found.setdefault(place, Refit(place))
            refit.candidates.append(Candidate({key: swept[key] for key in keys}, names))
            refit.data.add(digests[place.training_set])
    return list(found.values())


def _outer_folds(places: Iterable[Place]) -> dict[tuple[str, int], set[int]]:
    """Return the outer folds of each training set and permutation."""
    folds: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
    for place in places:
        folds[place.training_set, place.permutation].add(place.outer)
    return folds


def planned(experiment: Experiment, data: DataFacts, refit: Refit, candidate: int, epoch: int) -> PlannedTrial:
    """Return the trial with the settings of a refit's `candidate`, by its index, trained for `epoch` epochs."""
    place, values = refit.place, refit.candidates[candidate].values
    swept = {key: place.seed for key in identity.REPLICATED if key in experiment.plan.sweep}
    settings = experiment.trial_settings({**values, **swept, "train.epochs": epoch, "split.fold": place.outer})
    sets = _sets(experiment, data, {place.training_set})
    (trial,) = trials_with(settings, swept, [place.permutation], data, sets, selection=selection_of(experiment))
    return trial


def _sets(experiment: Experiment, data: DataFacts, only: Container[str] | None) -> list[PlannedSet]:
    sets = training_sets(experiment, list(data.subjects))
    return [PlannedSet(one, data) for one in sets if only is None or one[0] in only]
