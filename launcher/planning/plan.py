"""Experiment -> trials: {training set} x {swept values} x {fold} x {permutation}. Pure: no files, Ray or torch.

The controls of these trials are planned in the same way, with the settings that `controls` gives them.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from deepemotion.errors import UserError
from deepemotion.models import registry
from deepemotion.settings.rules import refuse_alignment, refuse_fold
from deepemotion.settings.schema import TRIAL_SECTIONS, SplitSettings, Trial, TrialSettings, make_trial
from deepemotion.training import memory
from deepemotion.training.checksums import data_digest
from launcher.planning import comparisons, controls, identity
from launcher.planning.experiment import Experiment
from launcher.planning.facts import DataFacts
from launcher.planning.protocols import Protocol
from launcher.planning.training_sets import TrainingSet, training_sets

# Far more than anybody trains; planning them takes half a minute.
_MOST_TRIALS = 250_000
# The settings in which trials of one setup differ, besides their subjects.
_OWN = {"split": {"fold"}, "data": {"permutation"}, "train": {"seed"}}
_BASIS: dict[str, Any] = {"data": controls.BASIS, "split": True}
# A control has hundreds of features where a brain has hundreds of thousands of voxels.
_CONTROL_WORK = 0.01


@dataclass(frozen=True)
class PlannedTrial:
    """One training to be run, and its needs: `memory_bytes`, and `work` in epochs times subjects (controls: 1 % of it).

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

    @property
    def control(self) -> str:
        """The name of the control that it trains on, "" for the brain."""
        return self.trial.data.control or ""

    @cached_property
    def setup(self) -> str:
        """Eight hexadecimal digits for the settings that subjects, folds, permutations and seeds of a model share."""
        shared = self.trial.model_dump(mode="json", include=set(TRIAL_SECTIONS), exclude=_OWN)
        return _eight_digits({**shared, "data": identity.described_data(shared["data"])})

    @cached_property
    def basis(self) -> str:
        """Eight hexadecimal digits for what a control shares with the brain's trials: volumes, labels and split."""
        return _eight_digits(self.trial.model_dump(mode="json", include=_BASIS, exclude={"split": {"fold"}}))


def _eight_digits(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]


class _Set:
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
        self.runs = sorted({run for subject in subjects for run in data.subjects[subject].runs})
        self.checksums = partial(identity.checksums, (*subjects, *unseen), data)


def make_plan(experiment: Experiment, data: DataFacts) -> list[PlannedTrial]:
    """Return the experiment's trials, the longest first, so that only short ones are left at the end.

    Those of controls, planned once for all of the brain's that they serve, come after these. Raises UserError for a
    subject or a control that is not packed, an unknown key, a plan with nothing in it or with far too much, a
    comparison of what the plan does not have, and a trial that cannot be trained with its settings and the runs that
    the data has.
    """
    sets = training_sets(experiment, list(data.subjects))
    if not sets:
        raise UserError("the plan is empty: it asks for no single-subject, pooled or held-out training")
    sweep = experiment.plan.sweep
    _require_feasible(len(sets) * math.prod(map(len, sweep.values())) * (experiment.plan.permutations + 1))
    # A comparison that cannot be made is found before anything is trained.
    comparisons.declared(experiment)
    wanted = controls.chosen(experiment, data)
    facts = [_Set(training_set, data) for training_set in sets]
    combinations = [dict(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())]
    of_brain = [(_brain_settings(experiment, swept), swept) for swept in combinations]
    trials: list[PlannedTrial] = []
    for settings, swept in itertools.chain(of_brain, controls.settings_of_controls(experiment, wanted, of_brain)):
        for trial in _with_settings(settings, swept, experiment.plan.permutations, data, facts):
            trials.append(trial)
            _require_feasible(len(trials))
    if len({trial.name for trial in trials}) != len(trials):
        raise UserError("the sweep repeats a value: two trials would be the same")
    return sorted(trials, key=lambda trial: (bool(trial.control), -trial.work))


def _require_feasible(trials: int) -> None:
    if trials > _MOST_TRIALS:
        raise UserError(
            f"the plan has at least {trials} trials, more than {_MOST_TRIALS}: sweep, permute or leave out less at once"
        )


def _brain_settings(experiment: Experiment, swept: dict[str, Any]) -> TrialSettings:
    """Return the settings of the brain's trials with these values of the swept ones. Raises UserError."""
    settings = experiment.trial_settings(swept)
    if settings.data.permutation:
        raise UserError("data.permutation: a launch sets it for each trial; use --permutations N")
    if settings.data.control is not None:
        raise UserError(f"data.control: a launch sets it for each trial; use --controls {settings.data.control}")
    registry.require_fit(settings)
    return settings


def _with_settings(
    settings: TrialSettings, swept: dict[str, Any], permutations: int, data: DataFacts, sets: Sequence[_Set]
) -> Iterator[PlannedTrial]:
    """Yield the trials with these settings, of which `swept` are swept: of each training set, fold and permutation."""
    atlas = None if settings.model.atlas is None else data.atlases[settings.model.atlas]
    stored = settings
    if atlas is not None:
        stored = settings.model_copy(update={"model": settings.model.model_copy(update={"atlas": atlas.path})})
    condition = identity.condition(settings, swept)
    permuted = [stored.data.model_copy(update={"permutation": k}) for k in range(permutations + 1)]
    sections = {name: getattr(stored, name) for name in TRIAL_SECTIONS}
    plain = stored.model_dump(mode="json", include=set(TRIAL_SECTIONS))
    share = 1.0 if settings.data.control is None else _CONTROL_WORK
    for training_set in sets:
        checksums = training_set.checksums(atlas, settings.data.control)
        digest = data_digest(checksums)
        memory_bytes = _memory(settings, training_set, data.labelled_share)
        protocol = Protocol.of(settings.split.protocol, bool(training_set.members.unseen_subjects)).in_tables
        for fold in _folds(settings, training_set, data):
            split = stored.split if fold is None else stored.split.model_copy(update={"fold": fold})
            for labels in permuted:
                trial = training_set.members.model_copy(update={**sections, "split": split, "data": labels})
                own = identity.digest(plain, trial, checksums)
                yield PlannedTrial(
                    name=identity.name(training_set.name, condition, trial, swept, own),
                    training_set=training_set.name,
                    condition=condition,
                    protocol=protocol,
                    memory_bytes=memory_bytes,
                    work=settings.train.epochs * len(trial.subjects) * share,
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


def _folds(settings: TrialSettings, training_set: _Set, data: DataFacts) -> Sequence[int | None]:
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


def _memory(settings: TrialSettings, training_set: _Set, labelled_share: float) -> int:
    volumes = round(labelled_share * sum(training_set.films))
    # No batch holds more volumes than there are.
    if settings.train.batch_size > max(volumes, 1):
        train = settings.train.model_copy(update={"batch_size": max(volumes, 1)})
        settings = settings.model_copy(update={"train": train})
    return memory.trial_bytes(settings, training_set.size, volumes, training_set.films, training_set.film_runs)
