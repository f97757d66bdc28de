"""A training set as it is planned: what its trials share whatever their settings, and the folds that it has."""

import math
from collections.abc import Container, Iterator, Sequence
from functools import partial

from deepemotion.errors import UserError
from deepemotion.models import registry
from deepemotion.settings.rules import refuse_alignment, refuse_fold
from deepemotion.settings.schema import SplitSettings, TrialSettings, make_trial
from deepemotion.training import memory
from launcher.planning import identity
from launcher.planning.facts import DataFacts
from launcher.planning.nested import FEWEST_FOLDS
from launcher.planning.training_sets import TrainingSet


class PlannedSet:
    """A training set and what its trials share whatever their settings, found out once for all of them."""

    def __init__(self, training_set: TrainingSet, data: DataFacts) -> None:
        """Find it out; raise UserError for subjects that cannot be trained on together."""
        self.name, subjects, unseen = training_set
        self.members = make_trial(TrialSettings(), list(subjects), list(unseen))
        facts = [data.subjects[subject] for subject in (*subjects, *unseen)]
        # The mask that all subjects share is inside the box of each of them.
        x, y, z = (min(sides) for sides in zip(*(fact.box for fact in facts), strict=True))
        self.size = memory.PackedSize(facts[0].shape, (x, y, z), facts[0].voxels)
        self.films = [fact.volumes for fact in facts]
        self.film_runs = sum(len(fact.runs) for fact in facts)
        self._regressors = [fact.regressors for fact in facts]
        self.runs = sorted({run for subject in subjects for run in data.subjects[subject].runs})
        self.checksums = partial(identity.checksums, (*subjects, *unseen), data)
        self._without_unseen = ((self.name, subjects, ()), data)

    def regressors(self, settings: TrialSettings) -> int:
        """Return how many independent features of the confounds that are regressed out a run has at most."""
        confounds = "+".join(settings.data.confounds)
        return max(known.get(confounds, 0) for known in self._regressors)

    @property
    def inner(self) -> "PlannedSet":
        """The set as inner trials use it: without the subjects that it leaves out, which have no part in any choice."""
        return PlannedSet(*self._without_unseen) if self.members.unseen_subjects else self


def places(
    settings: TrialSettings, training_set: PlannedSet, data: DataFacts, inner: bool, only: Container[int] | None = None
) -> Iterator[tuple[int | None, int | None]]:
    """Yield the fold and the outer fold, None but for `inner` trials, of each trial of a training set.

    `only` are the outer folds that inner trials are wanted of, None for all. Raises UserError for a set or fold that
    cannot be trained.
    """
    tested = _folds(settings, training_set, data)
    if not inner:
        yield from ((fold, None) for fold in tested)
        return
    every = settings.model_copy(update={"split": settings.split.model_copy(update={"fold": None})})
    folds = _folds(every, training_set, data)
    if len(folds) < FEWEST_FOLDS:
        raise UserError(
            f"plan.select=nested: {training_set.name} has {len(folds)} folds, and needs {FEWEST_FOLDS}: one to test,"
            " one to validate and one to train on"
        )
    wanted = [fold for fold in tested if only is None or fold in only]
    yield from ((fold, outer) for outer in wanted for fold in folds if fold != outer)


def _folds(settings: TrialSettings, training_set: PlannedSet, data: DataFacts) -> Sequence[int | None]:
    """Return the folds to train a set for; of runs, those that its subjects have.

    Raises UserError for a set or fold that cannot be trained.
    """
    split = settings.split
    refuse_alignment(settings, len(training_set.films))
    if settings.data.control is None:
        registry.require_sides(settings.model, training_set.size.dense(settings.data)[0])
    only_fold = [split.fold] if split.fold_is is None or split.fold is not None else None
    if only_fold:
        refuse_fold(split)
    if not only_fold and split.fold_is == "fold" and data.stretches:
        _require_blocks(split, data.stretches)
    if split.fold_is != "run":
        return only_fold or range(1, split.folds + 1)
    name, runs = training_set.name, training_set.runs
    if split.fold is not None and split.fold not in runs:
        raise UserError(f"split.fold={split.fold}: {name} has no such run; it has {', '.join(map(str, runs))}")
    if len(runs) == 1:
        raise UserError(
            f"split.protocol={split.protocol}: {name} has run {runs[0]} only, and nothing to train on without it"
        )
    return only_fold or runs


def _require_blocks(split: SplitSettings, stretches: Sequence[tuple[float, float]]) -> None:
    """Raise UserError where there are more folds than blocks of the film, so that some would validate on nothing."""
    blocks, beyond = 0, -math.inf
    for start, last in sorted((first // split.block_s, last // split.block_s) for first, last in stretches):
        blocks += max(0, int(last + 1 - max(start, beyond)))
        beyond = max(beyond, last + 1)
    if split.folds > blocks:
        raise UserError(
            f"split.folds={split.folds}: the film has only {blocks} blocks of split.block_s={split.block_s:g} s;"
            " use fewer folds or shorter blocks"
        )


def memory_bytes(settings: TrialSettings, training_set: PlannedSet, labelled_share: float) -> int:
    """Return an estimate of the host memory that a trial of the set needs."""
    volumes = round(labelled_share * sum(training_set.films))
    # No batch holds more volumes than there are.
    if settings.train.batch_size > max(volumes, 1):
        train = settings.train.model_copy(update={"batch_size": max(volumes, 1)})
        settings = settings.model_copy(update={"train": train})
    runs, regressors = training_set.film_runs, training_set.regressors(settings)
    return memory.trial_bytes(settings, training_set.size, volumes, training_set.films, runs, regressors)
