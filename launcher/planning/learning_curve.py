"""Learning curves: which runs or subjects the trainings on a part of the data are on. Pure.

A curve over runs or subjects has trainings on the first 1, 2, 4, ... of an order, which ends with the training set
itself. So each part holds the smaller ones, and what is tested is the same for all. The orders of the folds are turns
of one shuffled circle: each run, or subject, is the first of about as many folds as any other.
"""

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from deepemotion.errors import UserError
from deepemotion.settings.schema import SplitSettings, TrialSettings
from launcher.planning.experiment import Experiment
from launcher.planning.facts import DataFacts
from launcher.planning.planned_set import PlannedSet

Over = Literal["runs", "subjects"]
# A map that aligns a volume's run is fitted to another run, so that two have to train.
_FEWEST_ALIGNED = 2
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Point:
    """A training on the first `size` runs or subjects of an `order`; `draw` numbers the orders of a fold.

    The order is that of the training set's subjects or, as texts, of the runs that may train.
    """

    over: Over
    size: int
    draw: int
    order: tuple[str, ...]

    @property
    def chosen(self) -> tuple[str, ...]:
        """What is trained on."""
        return self.order[: self.size]

    @property
    def share(self) -> float:
        """What part of the volumes of its subjects it trains on."""
        return self.size / len(self.order) if self.over == "runs" else 1.0


def refuse(experiment: Experiment) -> None:
    """Raise UserError where an experiment asks for a learning curve that cannot be planned."""
    if not experiment.plan.learning_curve:
        return
    if experiment.plan.select == "nested":
        raise UserError("plan.learning_curve: plan.select=nested chooses settings for all data only; use best")
    if experiment.split.training_runs is not None or "split.training_runs" in experiment.plan.sweep:
        raise UserError("plan.learning_curve: a launch sets split.training_runs for each trial; leave it out")


def points(
    experiment: Experiment, settings: TrialSettings, training_set: PlannedSet, fold: int | None, data: DataFacts
) -> Iterator[Point]:
    """Yield the points of a training set's curves for a fold, without the last, which is the training set itself."""
    runs = {subject: data.subjects[subject].runs for subject in training_set.members.subjects}
    for draw in range(1, experiment.plan.draws + 1):
        for over in experiment.plan.learning_curve:
            if over == "runs":
                order = tuple(map(str, run_order(training_set.runs, settings.split, fold, draw)))
                aligned = settings.align.method != "none" and len(training_set.films) > 1
                least = _FEWEST_ALIGNED if aligned else 1
            else:
                order, least = tuple(subject_order(runs, settings.split, fold, draw)), 1
            yield from (Point(over, size, draw, order) for size in sizes(len(order), least))


def sizes(whole: int, least: int = 1) -> list[int]:
    """Return the powers of two from `least` on that are smaller than the whole."""
    powers = itertools.takewhile(lambda size: size < whole, (2**k for k in itertools.count()))
    return [size for size in powers if size >= least]


def run_order(runs: Sequence[int], split: SplitSettings, fold: int | None, draw: int) -> list[int]:
    """Return the order of the runs that may train for a fold.

    Where runs are folds, it begins behind the run that is left out, so that each run is the first of one fold.
    """
    circle = _circle(runs, draw)
    if split.fold_is != "run" or fold is None:
        return _turned(circle, (fold or 1) - 1)
    return _turned(circle, circle.index(fold))[1:]


def subject_order(runs: Mapping[str, Sequence[int]], split: SplitSettings, fold: int | None, draw: int) -> list[str]:
    """Return the order of the subjects, given by their runs, for a fold.

    Folds and draws begin with one subject after the other. Those that lack the run that is left out, or all others,
    come last: they could not be tested or trained on alone.
    """
    folds: Sequence[int] = [1] if fold is None else range(1, split.folds + 1)
    if split.fold_is == "run":
        folds = sorted({run for of_subject in runs.values() for run in of_subject})
    cycle, place = divmod((draw - 1) * len(folds) + folds.index(fold or 1), len(runs))
    order = _turned(_circle(list(runs), cycle + 1), place)
    if split.fold_is != "run":
        return order
    return sorted(order, key=lambda subject: fold not in runs[subject] or len(runs[subject]) == 1)


def narrowed(
    point: Point, settings: TrialSettings, training_set: PlannedSet, fold: int | None, data: DataFacts
) -> tuple[TrialSettings, PlannedSet]:
    """Return the settings and the training set of a point's training."""
    update: dict[str, object] = {"fold": fold}
    if point.over == "runs":
        update["training_runs"] = sorted(map(int, point.chosen))
    else:
        unseen = tuple(training_set.members.unseen_subjects)
        training_set = PlannedSet((training_set.name, tuple(sorted(point.chosen)), unseen), data)
    return settings.model_copy(update={"split": settings.split.model_copy(update=update)}), training_set


def _circle(items: Sequence[_Item], number: int) -> list[_Item]:
    """Return the items in an order that looks random, another one for each number, and the same on every machine."""
    return sorted(items, key=lambda item: hashlib.sha256(f"{number} {item}".encode()).digest())


def _turned(circle: Sequence[_Item], places: int) -> list[_Item]:
    start = places % len(circle)
    return [*circle[start:], *circle[:start]]
