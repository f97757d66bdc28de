"""Experiment -> trials: {training set} x {swept values} x {fold} x {permutation}. Pure: no files, Ray or torch.

The controls of these trials are planned in the same way, with the settings that `controls` gives them. Of a nested
selection these are the inner trials; `refits` plans what follows them.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from deepemotion.errors import UserError
from deepemotion.models import registry
from deepemotion.settings.schema import TRIAL_SECTIONS, Trial, TrialSettings, described
from deepemotion.training.checksums import data_digest
from launcher.planning import comparisons, controls, identity, learning_curve
from launcher.planning.experiment import Experiment
from launcher.planning.facts import DataFacts
from launcher.planning.learning_curve import Point
from launcher.planning.nested import Selection
from launcher.planning.nested import refuse as refuse_nested
from launcher.planning.planned_set import PlannedSet, memory_bytes, places
from launcher.planning.protocols import Protocol
from launcher.planning.training_sets import training_sets

# Far more than anybody trains; planning them takes half a minute.
_MOST_TRIALS = 250_000
# The settings in which trials of one setup differ, besides their subjects.
_OWN = {"split": {"fold", "outer"}, "data": {"permutation"}, "train": {"seed"}}
# Those of a learning curve differ in the runs that they train on as well.
_OWN_OF_CURVE = {**_OWN, "split": {*_OWN["split"], "training_runs"}}
_BASIS: dict[str, Any] = {"data": controls.BASIS, "split": True}
# A control has hundreds of features where a brain has hundreds of thousands of voxels.
_CONTROL_WORK = 0.01


@dataclass(frozen=True)
class PlannedTrial:
    """One training to be run, and its needs: `memory_bytes`, and `work` in epochs times subjects (controls: 1 % of it).

    `condition` and `protocol` are its names for readers; `data` is the `checksums.data_digest` of the data that it was
    planned for; `selection` is how inner trials chose its settings, None where they were given; `point` is what part of
    its training set's runs or subjects it trains on for a learning curve, None where it trains on all.
    """

    name: str
    training_set: str
    condition: str
    protocol: str
    memory_bytes: int
    work: float
    trial: Trial
    data: str = ""
    selection: Selection | None = None
    point: Point | None = None

    @property
    def fold(self) -> int | None:
        """The fold or run that it validates on, None where the protocol has none."""
        return self.trial.split.fold

    @property
    def outer(self) -> int | None:
        """The fold that the model is tested on whose settings this inner trial helps to choose, None for others."""
        return self.trial.split.outer

    @property
    def chosen(self) -> str:
        """What inner trials chose, such as `train.learning_rate=0.001, epoch 12`; "" where they chose nothing."""
        if self.selection is None:
            return ""
        parts = [key.partition(".") for key in self.selection.keys]
        values = [
            f"{section}.{name}={identity.text(getattr(getattr(self.trial, section), name))}"
            for section, _, name in parts
        ]
        return ", ".join([*values, f"epoch {self.trial.train.epochs}"])

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
    def pool(self) -> tuple[str, ...]:
        """All subjects of its training set, of which a learning curve takes a part."""
        if self.point is None or self.point.over == "runs":
            return self.subjects
        return (*self.point.order, *self.trial.unseen_subjects)

    @property
    def control(self) -> str:
        """The name of the control that it trains on, "" for the brain."""
        return self.trial.data.control or ""

    @cached_property
    def setup(self) -> str:
        """Eight hexadecimal digits for the settings that subjects, folds, permutations and seeds of a model share.

        Folds whose settings were chosen share the procedure that chose them.
        """
        if self.selection is not None:
            return self.selection.procedure
        own = _OWN if self.point is None else _OWN_OF_CURVE
        return _eight_digits(described(self.trial.model_dump(mode="json", include=set(TRIAL_SECTIONS), exclude=own)))

    @cached_property
    def basis(self) -> str:
        """Eight hexadecimal digits for what a control shares with the brain's trials: volumes, labels and split."""
        basis = self.trial.model_dump(mode="json", include=_BASIS, exclude={"split": {"fold", "outer"}})
        return _eight_digits(described(basis))


def _eight_digits(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]


def make_plan(experiment: Experiment, data: DataFacts) -> list[PlannedTrial]:
    """Return the experiment's trials, the longest first, so that only short ones are left at the end.

    Those of controls, planned once for all of the brain's that they serve, come after these. Of a nested selection they
    are the inner trials and the controls of the outer folds. Learning curves are of the brain on true labels. Raises
    UserError for a subject or a control that is not packed, an unknown key, a plan with nothing in it or with far too
    much, a comparison of what the plan does not have, and a trial that cannot be trained with its settings and the runs
    that the data has.
    """
    sets = training_sets(experiment, list(data.subjects))
    if not sets:
        raise UserError("the plan is empty: it asks for no single-subject, pooled or held-out training")
    sweep = experiment.plan.sweep
    _require_feasible(len(sets) * math.prod(map(len, sweep.values())) * (experiment.plan.permutations + 1))
    # A comparison that cannot be made is found before anything is trained.
    comparisons.declared(experiment)
    wanted = controls.chosen(experiment, data)
    facts = [PlannedSet(training_set, data) for training_set in sets]
    of_brain = combinations(experiment)
    permutations = range(experiment.plan.permutations + 1)
    nested = experiment.plan.select == "nested"
    trials: list[PlannedTrial] = []
    for settings, swept in itertools.chain(of_brain, controls.settings_of_controls(experiment, wanted, of_brain)):
        inner = nested and settings.data.control is None
        for trial in trials_with(settings, swept, permutations, data, facts, inner):
            trials.append(trial)
            _require_feasible(len(trials))
    whole = {_digest(trial) for trial in trials}
    for settings, swept in of_brain:
        for trial in _of_curves(experiment, settings, swept, data, facts):
            # A part of one subject may be a training set of its own.
            if _digest(trial) not in whole:
                trials.append(trial)
            _require_feasible(len(trials))
    return sorted(trials, key=lambda trial: (bool(trial.control), -trial.work))


def _require_feasible(trials: int) -> None:
    if trials > _MOST_TRIALS:
        raise UserError(
            f"the plan has at least {trials} trials, more than {_MOST_TRIALS}: sweep, permute or leave out less at once"
        )


def combinations(experiment: Experiment) -> list[tuple[TrialSettings, dict[str, Any]]]:
    """Return the settings of the brain's trials, and the swept ones among them, of each combination of swept values.

    Raises UserError for what a launch cannot plan.
    """
    if experiment.plan.select == "nested":
        refuse_nested(experiment)
    learning_curve.refuse(experiment)
    sweep = experiment.plan.sweep
    swept = [dict(zip(sweep, values, strict=True)) for values in itertools.product(*sweep.values())]
    found = [(_brain_settings(experiment, values), values) for values in swept]
    # Not the values, which may be written in several ways: 4 and 4.0.
    if len({settings.model_dump_json() for settings, _ in found}) != len(found):
        raise UserError("the sweep repeats a value: two trials would be the same")
    return found


def _brain_settings(experiment: Experiment, swept: dict[str, Any]) -> TrialSettings:
    """Return the settings of the brain's trials with these values of the swept ones. Raises UserError."""
    settings = experiment.trial_settings(swept)
    if settings.data.permutation:
        raise UserError("data.permutation: a launch sets it for each trial; use --permutations N")
    if settings.split.outer is not None:
        raise UserError("split.outer: a launch sets it for each inner trial; use --select nested")
    if settings.data.control is not None:
        raise UserError(f"data.control: a launch sets it for each trial; use --controls {settings.data.control}")
    registry.require_fit(settings)
    return settings


def trials_with(
    settings: TrialSettings,
    swept: dict[str, Any],
    permutations: Iterable[int],
    data: DataFacts,
    sets: Sequence[PlannedSet],
    inner: bool = False,
    selection: Selection | None = None,
    only: Container[int] | None = None,
) -> Iterator[PlannedTrial]:
    """Yield the trials with these settings, of which `swept` are swept: of each training set, fold and permutation.

    They are `inner` ones, of all outer folds or `only` these, or refits whose settings a `selection` chose, or neither.
    """
    atlas = None if settings.model.atlas is None else data.atlases[settings.model.atlas]
    stored = settings
    if atlas is not None:
        stored = settings.model_copy(update={"model": settings.model.model_copy(update={"atlas": atlas.path})})
    condition = identity.condition(settings, swept)
    if selection is not None:
        condition = identity.nested_condition(settings, selection.keys)
    procedure = "" if selection is None else selection.procedure
    permuted = [stored.data.model_copy(update={"permutation": k}) for k in permutations]
    sections = {name: getattr(stored, name) for name in TRIAL_SECTIONS}
    plain = stored.model_dump(mode="json", include=set(TRIAL_SECTIONS))
    share = 1.0 if settings.data.control is None else _CONTROL_WORK
    for training_set in (one.inner if inner else one for one in sets):
        checksums = training_set.checksums(atlas, settings.data)
        digest = data_digest(checksums)
        needed = memory_bytes(settings, training_set, data.labelled_share)
        protocol = Protocol.of(settings.split.protocol, bool(training_set.members.unseen_subjects)).in_tables
        for fold, outer in places(settings, training_set, data, inner, only):
            split = stored.split.model_copy(update={"fold": fold, "outer": outer})
            for labels in permuted:
                trial = training_set.members.model_copy(update={**sections, "split": split, "data": labels})
                own = identity.digest(plain, trial, checksums, procedure)
                yield PlannedTrial(
                    name=identity.name(training_set.name, condition, trial, swept, own),
                    training_set=training_set.name,
                    condition=condition,
                    protocol=protocol,
                    memory_bytes=needed,
                    work=settings.train.epochs * len(trial.subjects) * share,
                    trial=trial,
                    data=digest,
                    selection=selection,
                )


def _of_curves(
    experiment: Experiment,
    settings: TrialSettings,
    swept: dict[str, Any],
    data: DataFacts,
    sets: Iterable[PlannedSet],
) -> Iterator[PlannedTrial]:
    """Yield the trials of the learning curves with these settings: on a part of the runs or subjects of each set."""
    if not experiment.plan.learning_curve:
        return
    for training_set in sets:
        known = set()
        for fold, _ in places(settings, training_set, data, inner=False):
            for point in learning_curve.points(experiment, settings, training_set, fold, data):
                part, smaller = learning_curve.narrowed(point, settings, training_set, fold, data)
                (trial,) = trials_with(part, swept, [0], data, [smaller])
                # Another draw may give the same part; of subjects, the first one is tested.
                same = _digest(trial), point.order[0] if point.over == "subjects" else ""
                if same not in known:
                    known.add(same)
                    name = identity.name_of_point(trial.name, point.over, point.size, point.draw)
                    yield replace(trial, name=name, work=trial.work * point.share, point=point)


def _digest(trial: PlannedTrial) -> str:
    return trial.name.rpartition("_")[2]
