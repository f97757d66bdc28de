"""Experiment -> trials: {training set} x {swept values} x {fold} x {permutation}. Pure: no files, Ray or torch."""

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deepemotion.errors import UserError
from deepemotion.models import registry
from deepemotion.settings.rules import refuse_alignment, refuse_fold
from deepemotion.settings.schema import TrialSettings
from deepemotion.training import memory
from deepemotion.training.data_sources import data_digest
from launcher.planning import identity
from launcher.planning.experiment import Experiment
from launcher.planning.facts import DataFacts
from launcher.planning.training_sets import TrainingSet, training_sets


@dataclass(frozen=True)
class PlannedTrial:
    """One training to be run. `settings` is a `deepemotion.settings.schema.Trial` as plain values."""

    name: str
    training_set: str
    condition: str
    protocol: str
    fold: int | None
    permutation: int
    learning_rate: float
    seed: int
    memory_bytes: int
    work: float
    settings: dict[str, Any]
    data: str = ""
    """What `sources.data_digest` says of the data that it was planned for."""

    @property
    def subjects(self) -> tuple[str, ...]:
        """All subjects that the trial reads: those it trains on, and those it leaves out."""
        return (*self.settings.get("subjects", ()), *self.settings.get("unseen_subjects", ()))

    @property
    def setup(self) -> str:
        """Eight hexadecimal digits for the settings that subjects, folds, permutations and seeds of a model share."""
        shared = {key: value for key, value in self.settings.items() if key not in ("subjects", "unseen_subjects")}
        for section, own in (("split", "fold"), ("data", "permutation"), ("train", "seed")):
            shared[section] = {key: value for key, value in shared.get(section, {}).items() if key != own}
        return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:8]


def make_plan(experiment: Experiment, data: DataFacts) -> list[PlannedTrial]:
    """Return the experiment's trials, the longest first so that the last ones to finish are short.

    Raises UserError for a subject that is not packed, an unknown key, a plan with nothing in it, and a trial that its
    settings and the data's runs doom.
    """
    sets = training_sets(experiment, list(data.subjects))
    if not sets:
        raise UserError("the plan is empty: no single-subject, pooled or held-out training is asked for")
    sweep = experiment.plan.sweep
    trials = []
    for values in itertools.product(*sweep.values()):
        chosen = dict(zip(sweep, values, strict=True))
        settings = experiment.trial_settings(chosen)
        registry.require_fit(settings)
        if settings.data.permutation:
            raise UserError("data.permutation: a launch gives each trial its own; ask for them with --permutations N")
        sections = settings.model_dump(mode="json")
        atlas = None if settings.model.atlas is None else data.atlases[settings.model.atlas]
        if atlas is not None:
            sections["model"]["atlas"] = atlas.path
        condition = identity.condition(settings, chosen)
        permutations = range(experiment.plan.permutations + 1)
        parts = [(one, fold) for one in sets for fold in _folds(settings, one, data)]
        for ((name, subjects, unseen), fold), permutation in itertools.product(parts, permutations):
            trial = {**sections, "subjects": list(subjects), "unseen_subjects": list(unseen)}
            trial["split"] = {**sections["split"], "fold": fold}
            trial["data"] = {**sections["data"], "permutation": permutation}
            everybody = (*subjects, *unseen)
            replicate = "".join(
                f"_{key.partition('.')[2]}-{chosen[key]}" for key in identity.REPLICATED if key in chosen
            )
            part = "" if fold is None else f"_{'run' if settings.split.protocol == 'run' else 'fold'}-{fold}"
            readable = f"{name}_{condition}{part}{replicate}" + (f"_perm-{permutation}" if permutation else "")
            trials.append(
                PlannedTrial(
                    name=f"{identity.safe_name(readable)}_{identity.identity(trial, everybody, data, atlas)}",
                    training_set=name,
                    condition=condition,
                    protocol=identity.protocol(settings.split.protocol, held_out=bool(unseen)),
                    fold=fold,
                    permutation=permutation,
                    learning_rate=settings.train.learning_rate,
                    seed=settings.train.seed,
                    memory_bytes=_memory(settings, everybody, data),
                    work=settings.train.epochs * len(subjects),
                    settings=trial,
                    data=data_digest(identity.checksums(everybody, data, atlas)),
                )
            )
    if len({trial.name for trial in trials}) != len(trials):
        raise UserError("the sweep repeats a value: two trials would be the same")
    return sorted(trials, key=lambda trial: -trial.work)


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
    """Return the folds to train a set for; of runs those that its subjects have. Raises UserError for doomed ones."""
    name, subjects, unseen = training_set
    split = settings.split
    refuse_alignment(settings, len(subjects) + len(unseen))
    shape, _ = _packed_size((*subjects, *unseen), data).dense(settings.data)
    registry.require_sides(settings.model, shape)
    one = [split.fold] if split.protocol == "random" or split.fold is not None else None
    if one:
        refuse_fold(split)
    if split.protocol != "run":
        return one or range(1, split.folds + 1)
    runs = sorted({run for subject in subjects for run in data.subjects[subject].runs})
    if split.fold is not None and split.fold not in runs:
        raise UserError(f"split.fold={split.fold}: {name} has no such run; it has {', '.join(map(str, runs))}")
    if len(runs) == 1:
        raise UserError(f"split.protocol=run: {name} has run {runs[0]} only, and nothing to train on without it")
    return one or runs


def _packed_size(subjects: Sequence[str], data: DataFacts) -> memory.PackedSize:
    facts = [data.subjects[subject] for subject in subjects]
    # The mask that all subjects share lies in each one's box.
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
