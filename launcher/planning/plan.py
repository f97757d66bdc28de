"""Experiment -> trials: {training set} x {swept values} x {fold} x {permutation}. Pure: no files, Ray or torch."""

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from deepemotion.errors import UserError
from deepemotion.models import registry
from deepemotion.settings.rules import refuse_alignment, refuse_fold
from deepemotion.settings.schema import TRIAL_SECTIONS, SplitSettings, Trial, TrialSettings, make_trial
from deepemotion.training import memory
from deepemotion.training.checksums import data_digest
from launcher.planning import identity
from launcher.planning.experiment import Experiment
from launcher.planning.facts import DataFacts
from launcher.planning.protocols import Protocol
from launcher.planning.training_sets import TrainingSet, training_sets

# Far more than anybody trains; planning them takes half a minute.
_MOST_TRIALS = 250_000
# The settings in which trials of one setup differ, besides their subjects.
_OWN = {"split": {"fold"}, "data": {"permutation"}, "train": {"seed"}}


@dataclass(frozen=True)
class PlannedTrial:
    """One training to be run, and its needs: `memory_bytes`, and `work` in epochs times subjects.

    `condition` and `protocol` are its names for readers; `data` is the `checksums.data_digest` of the data that it was
    planned for.
    """

    name: str
    training_set: str
    condition: str
    protocol: str
    memory_bytes: int
    work: float
    trial: Trial
    data: str = ""

    @property
    def fold(self) -> int | None:
        """The fold or run that it validates on, None where the protocol has none."""
        return self.trial.split.fold

    @property
    def permutation(self) -> int:
        """The seed that its labels are permuted by, 0 for true labels."""
        return self.trial.data.permutation

    @property
    def learning_rate(self) -> float:
        """The learning rate."""
        return self.trial.train.learning_rate

    @property
    def seed(self) -> int:
        """The seed of its training, which replicates differ in."""
        return self.trial.train.seed

    @property
    def subjects(self) -> tuple[str, ...]:
        """All subjects that the trial reads: those it trains on, and those it leaves out."""
        return (*self.trial.subjects, *self.trial.unseen_subjects)

    @cached_property
    def setup(self) -> str:
        """Eight hexadecimal digits for the settings that subjects, folds, permutations and seeds of a model share."""
        shared = self.trial.model_dump(mode="json", include=set(TRIAL_SECTIONS), exclude=_OWN)
        return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:8]


def make_plan(experiment: Experiment, data: DataFacts) -> list[PlannedTrial]:
    """Return the experiment's trials, the longest first, so that only short ones are left at the end.

    Raises UserError for a subject that is not packed, an unknown key, a plan with nothing in it or with far too much,
    and a trial that cannot be trained with its settings and the runs that the data has.
    """
    sets = training_sets(experiment, list(data.subjects))
    if not sets:
        raise UserError("the plan is empty: it asks for no single-subject, pooled or held-out training")
    sweep = experiment.plan.sweep
    _require_feasible(len(sets) * math.prod(map(len, sweep.values())) * (experiment.plan.permutations + 1))
    trials: list[PlannedTrial] = []
    for values in itertools.product(*sweep.values()):
        for trial in _with_settings(experiment, data, sets, dict(zip(sweep, values, strict=True))):
            trials.append(trial)
            _require_feasible(len(trials))
    if len({trial.name for trial in trials}) != len(trials):
        raise UserError("the sweep repeats a value: two trials would be the same")
    return sorted(trials, key=lambda trial: -trial.work)


def _require_feasible(trials: int) -> None:
    if trials > _MOST_TRIALS:
        raise UserError(
            f"the plan has at least {trials} trials, more than {_MOST_TRIALS}: sweep, permute or leave out less at once"
        )


def _with_settings(
    experiment: Experiment, data: DataFacts, sets: Sequence[TrainingSet], swept: dict[str, Any]
) -> Iterator[PlannedTrial]:
    """Yield the trials with these values of the swept settings: of each training set, fold and permutation."""
    settings = experiment.trial_settings(swept)
    registry.require_fit(settings)
    if settings.data.permutation:
        raise UserError("data.permutation: a launch sets it for each trial; use --permutations N")
    atlas = None if settings.model.atlas is None else data.atlases[settings.model.atlas]
    stored = settings
    if atlas is not None:
        stored = settings.model_copy(update={"model": settings.model.model_copy(update={"atlas": atlas.path})})
    condition = identity.condition(settings, swept)
    permuted = [stored.data.model_copy(update={"permutation": k}) for k in range(experiment.plan.permutations + 1)]
    for training_set in sets:
        name, subjects, unseen = training_set
        everybody = (*subjects, *unseen)
        digest = data_digest(identity.checksums(everybody, data, atlas))
        memory_bytes = _memory(settings, everybody, data)
        whole = make_trial(stored, list(subjects), list(unseen))
        for fold in _folds(settings, training_set, data):
            split = stored.split if fold is None else stored.split.model_copy(update={"fold": fold})
            for labels in permuted:
                trial = whole.model_copy(update={"split": split, "data": labels})
                yield PlannedTrial(
                    name=identity.name(name, condition, trial, swept, identity.digest(trial, data, atlas)),
                    training_set=name,
                    condition=condition,
                    protocol=Protocol.of(settings.split.protocol, bool(unseen)).in_tables,
                    memory_bytes=memory_bytes,
                    work=settings.train.epochs * len(subjects),
                    trial=trial,
                    data=digest,
                )


def replaced(plan: Sequence[PlannedTrial]) -> dict[str, str]:
    """Return the trials of a run's plan that a later launch replaced, and by which trial each.

    They had other labels or volumes, or, of trials of several subjects, another pool of subjects: models from different
    pools have no common mean.
    """
    models = {trial.name: (trial.condition, trial.setup, trial.protocol) for trial in plan}
    places = {
        trial.name: (*models[trial.name], trial.training_set, trial.fold, trial.seed, trial.permutation)
        for trial in plan
    }
    last = {place: name for name, place in places.items()}
    dead = {name: last[place] for name, place in places.items() if last[place] != name}
    newest = {models[trial.name]: trial for trial in plan if len(trial.subjects) > 1}
    for trial in plan:
        latest = newest.get(models[trial.name])
        if latest is not None and len(trial.subjects) > 1 and set(trial.subjects) != set(latest.subjects):
            dead.setdefault(trial.name, latest.name)
    return dead


def _folds(settings: TrialSettings, training_set: TrainingSet, data: DataFacts) -> Sequence[int | None]:
    """Return the folds to train a set for; of runs, those that its subjects have.

    Raises UserError for a set or fold that cannot be trained.
    """
    name, subjects, unseen = training_set
    split = settings.split
    refuse_alignment(settings, len(subjects) + len(unseen))
    shape, _ = _packed_size((*subjects, *unseen), data).dense(settings.data)
    registry.require_sides(settings.model, shape)
    only_fold = [split.fold] if split.fold_is is None or split.fold is not None else None
    if only_fold:
        refuse_fold(split)
    if not only_fold and split.fold_is == "fold" and data.stretches:
        _require_blocks(split, data.stretches)
    if split.fold_is != "run":
        return only_fold or range(1, split.folds + 1)
    runs = sorted({run for subject in subjects for run in data.subjects[subject].runs})
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


def _packed_size(subjects: Sequence[str], data: DataFacts) -> memory.PackedSize:
    facts = [data.subjects[subject] for subject in subjects]
    # The mask that all subjects share is inside the box of each of them.
    x, y, z = (min(sides) for sides in zip(*(fact.box for fact in facts), strict=True))
    return memory.PackedSize(facts[0].shape, (x, y, z), facts[0].voxels)


def _memory(settings: TrialSettings, subjects: Sequence[str], data: DataFacts) -> int:
    facts = [data.subjects[subject] for subject in subjects]
    volumes = round(data.labelled_share * sum(fact.volumes for fact in facts))
    # No batch holds more volumes than there are.
    train = settings.train.model_copy(update={"batch_size": min(settings.train.batch_size, max(volumes, 1))})
    return memory.trial_bytes(
        settings.model_copy(update={"train": train}),
        _packed_size(subjects, data),
        volumes=volumes,
        films=[fact.volumes for fact in facts],
        runs=sum(len(fact.runs) for fact in facts),
    )
