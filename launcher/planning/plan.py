"""Experiment -> trials: {training set} x {swept values} x {fold} x {permutation}. Pure: no files, Ray or torch."""

import hashlib
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from deepemotion import __version__
from deepemotion.errors import UserError
from deepemotion.models import registry
from deepemotion.settings.rules import refuse_alignment, refuse_fold
from deepemotion.settings.schema import TrialSettings
from deepemotion.subject_file.format import FORMAT_VERSION
from deepemotion.training import memory
from deepemotion.training.checksums import data_digest
from launcher.planning.experiment import Experiment

# The columns of the paper's figure 6 that each fold leaves out, numbered from 1 in the order of the subjects.
PAPER_FOLDS = ((1, 4), (5, 10), (11, 15), (16, 19))
# What a replicate differs in: aggregates average over it.
_REPLICATED = ("train.seed",)


@dataclass(frozen=True)
class SubjectFacts:
    """What planning needs to know of a packed subject; `checksum` identifies its content."""

    checksum: str
    shape: tuple[int, int, int]
    box: tuple[int, int, int]  # sides of the mask's bounding box
    voxels: int
    volumes: int
    runs: tuple[int, ...]


@dataclass(frozen=True)
class AtlasFacts:
    """Where an atlas lies, as an absolute path that any worker finds; `checksum` identifies its content."""

    path: str
    checksum: str


@dataclass(frozen=True)
class DataFacts:
    """The packed subjects, in order, the labels, and the atlases by the paths that the experiment gives."""

    subjects: dict[str, SubjectFacts]
    labels_checksum: str
    labelled_share: float
    classes: int
    atlases: dict[str, AtlasFacts] = field(default_factory=dict)


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
    """What `checksums.data_digest` says of the data that it was planned for."""

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


TrainingSet = tuple[str, tuple[str, ...], tuple[str, ...]]


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
        condition = _condition(settings, chosen)
        permutations = range(experiment.plan.permutations + 1)
        parts = [(one, fold) for one in sets for fold in _folds(settings, one, data)]
        for ((name, subjects, unseen), fold), permutation in itertools.product(parts, permutations):
            trial = {**sections, "subjects": list(subjects), "unseen_subjects": list(unseen)}
            trial["split"] = {**sections["split"], "fold": fold}
            trial["data"] = {**sections["data"], "permutation": permutation}
            everybody = (*subjects, *unseen)
            replicate = "".join(f"_{key.partition('.')[2]}-{chosen[key]}" for key in _REPLICATED if key in chosen)
            part = "" if fold is None else f"_{'run' if settings.split.protocol == 'run' else 'fold'}-{fold}"
            readable = f"{name}_{condition}{part}{replicate}" + (f"_perm-{permutation}" if permutation else "")
            trials.append(
                PlannedTrial(
                    name=f"{_safe(readable)}_{_identity(trial, everybody, data, atlas)}",
                    training_set=name,
                    condition=condition,
                    protocol=_protocol(settings.split.protocol, held_out=bool(unseen)),
                    fold=fold,
                    permutation=permutation,
                    learning_rate=settings.train.learning_rate,
                    seed=settings.train.seed,
                    memory_bytes=_memory(settings, everybody, data),
                    work=settings.train.epochs * len(subjects),
                    settings=trial,
                    data=data_digest(_checksums(everybody, data, atlas)),
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


def training_sets(experiment: Experiment, packed: Sequence[str]) -> list[TrainingSet]:
    """Return (name, subjects trained on, unseen subjects) of each training set."""
    wanted = experiment.plan.subjects
    missing = [] if wanted == "all" else [subject for subject in wanted if subject not in packed]
    if missing:
        raise UserError(f"subject {missing[0]}: not packed; there are {', '.join(packed)}")
    subjects = tuple(packed if wanted == "all" else sorted(wanted))
    sets: list[TrainingSet] = []
    if experiment.plan.single_subject:
        sets += [(f"sub-{subject}", (subject,), ()) for subject in subjects]
    if experiment.plan.pooled and len(subjects) > 1:
        sets.append(("pooled", subjects, ()))
    if experiment.plan.held_out_folds:
        if len(subjects) < PAPER_FOLDS[-1][0]:
            raise UserError(f"held-out folds need at least {PAPER_FOLDS[-1][0]} subjects; there are {len(subjects)}")
        for first, last in PAPER_FOLDS:
            unseen = subjects[first - 1 : last]
            seen = tuple(subject for subject in subjects if subject not in unseen)
            sets.append((f"held-out-{first}-{last}", seen, unseen))
    if experiment.plan.leave_one_subject_out:
        if len(subjects) < 2:
            raise UserError("leaving a subject out needs at least 2 subjects")
        sets += [(f"without-{one}", tuple(s for s in subjects if s != one), (one,)) for one in subjects]
    return sets


def _protocol(split: str, held_out: bool) -> str:
    """Return the protocol's name in tables: what is held out, of the movie and of the subjects."""
    if split == "random" or not held_out:
        return split
    return {"block": "subject", "run": "run x subject"}[split]


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


def _condition(settings: TrialSettings, chosen: dict[str, Any]) -> str:
    """Return the readable part that trials share when they differ only in training set, fold and seed."""
    parts = [f"lr-{settings.train.learning_rate:g}"]
    parts += [
        f"{key}-{value}" for key, value in chosen.items() if key != "train.learning_rate" and key not in _REPLICATED
    ]
    return _safe("_".join(parts))


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name)


def _checksums(subjects: Sequence[str], data: DataFacts, atlas: AtlasFacts | None) -> dict[str, str]:
    """Return what `checksums.data_checksums` will find when the trial runs."""
    own = {f"sub-{subject}": data.subjects[subject].checksum for subject in subjects}
    return {"labels": data.labels_checksum, **({"atlas": atlas.checksum} if atlas else {}), **own}


def _identity(trial: dict[str, Any], subjects: Sequence[str], data: DataFacts, atlas: AtlasFacts | None) -> str:
    """Return a hash of everything that determines the trial's result: of an atlas its content, not where it lies."""
    if atlas is not None:
        trial = {**trial, "model": {**trial["model"], "atlas": atlas.checksum}}
    content = {
        "trial": trial,
        "subjects": {subject: data.subjects[subject].checksum for subject in subjects},
        "labels": data.labels_checksum,
        "format": FORMAT_VERSION,
        "code": __version__,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


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
