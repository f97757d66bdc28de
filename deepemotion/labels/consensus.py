"""From observers' events to one emotion per movie time: a grid of times, what each observer gave, a vote."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepemotion.dataset.description import Dataset
from deepemotion.labels.annotations import Event
from deepemotion.labels.leave_one_out import ObserverScores, score_observers
from deepemotion.labels.rules import Rule
from deepemotion.labels.table import NONE

# Guards floor and ceil of times divided by a TR that binary fractions cannot hold (0.7 s).
_ROUNDING = 1e-9


@dataclass(frozen=True)
class TimeGrid:
    """Uniform movie times start, start + step, ...: `count` of them, in seconds."""

    start: float
    step: float
    count: int

    @classmethod
    def of_movie(cls, dataset: Dataset, rule: Rule) -> "TimeGrid":
        """Lay the grid from the movie's start to its end or the rule's grid end, whichever comes first; step = TR."""
        start = dataset.segments[0].start
        end = max(segment.end for segment in dataset.segments)
        if rule.grid_end is not None:
            end = min(end, rule.grid_end)
        return cls(start, dataset.tr, max(0, math.ceil((end - start) / dataset.tr - _ROUNDING)))

    @property
    def movie_time(self) -> NDArray[np.float64]:
        """(N,) seconds."""
        return self.start + self.step * np.arange(self.count, dtype=np.float64)

    def covered(self, event: Event, rule: Rule) -> slice:
        """Return the grid indices that an event labels; whatever is outside the movie is cut off.

        Under `interval` an event without duration labels the interval that holds its moment, so that none is lost.
        """
        if rule.coverage == "interval":
            first = math.floor((event.start - self.start) / self.step + _ROUNDING)
            stop = max(first + 1, math.ceil((event.end - self.start) / self.step - _ROUNDING))
        else:
            start, end = math.trunc(event.start), math.trunc(event.end)
            first = round((start - self.start) / self.step)
            if abs(self.start + first * self.step - start) > _ROUNDING * self.step:
                return slice(0, 0)
            stop = first + math.ceil((end - start) / self.step - _ROUNDING)
        return slice(min(max(first, 0), self.count), min(max(stop, 0), self.count))


@dataclass(frozen=True)
class Consensus:
    """What the observers agree on at N movie times, for C classes."""

    emotion: NDArray[np.int64]
    """(N,) class index, -1 where no emotion has enough votes."""
    votes: NDArray[np.int64]
    """(N,) observers that gave the most frequent class, also where they were too few."""
    soft: NDArray[np.float64]
    """(N, C) share of observers that gave the class."""
    observer_scores: ObserverScores
    """How well each observer agrees with the others."""


def labels_given(observers: dict[str, list[Event]], grid: TimeGrid, rule: Rule) -> NDArray[np.bool_]:
    """Return (O, N, L): did observer o give label l at movie time n? Labels in the order of `rule.class_of`.

    A row with several labels gives each of them. With `rule.characters`, one event per observer and time counts: that
    of the character of first priority, the earlier row between equals; where it names no emotion the observer gave
    none. Without, every event counts, and an observer may give several labels at once.
    """
    column = {label: i for i, label in enumerate(rule.class_of)}
    given = np.zeros((len(observers), grid.count, len(column)), dtype=bool)
    for of_observer, events in zip(given, observers.values(), strict=True):
        for event in _last_wins(events, rule):
            covered = grid.covered(event, rule)
            if rule.characters is not None:
                of_observer[covered] = False
            of_observer[covered, [column[label] for label in event.labels]] = True
    return given


def vote(given: NDArray[np.bool_], rule: Rule) -> Consensus:
    """Count the observers behind each class at each time; the most frequent class wins if the rule's threshold is met.

    `given` (O, N, L) as from `labels_given`. An observer has one vote for each class of which any label was given.
    Raises UserError where the threshold exceeds the number of observers.
    """
    classes = rule.classes
    members = np.array([[owner == name for name in classes] for owner in rule.class_of.values()])
    gave_class = given @ members
    counts = gave_class.sum(axis=0)
    votes = counts.max(axis=1)
    tied = counts == votes[:, None]
    if rule.ties == "first":
        # argmax finds the first observer who gave the class; one who gave two of them leaves it to the alphabet.
        winner = np.where(tied, gave_class.argmax(axis=0), len(given)).argmin(axis=1)
        clear = np.ones(len(votes), dtype=bool)
    else:
        winner = tied.argmax(axis=1)
        clear = tied.sum(axis=1) == 1
    needed = rule.votes_needed(len(given))
    enough = votes >= needed
    return Consensus(
        emotion=np.where(enough & clear, winner, -1).astype(np.int64),
        votes=votes.astype(np.int64),
        soft=counts / len(given),
        observer_scores=score_observers(gave_class, needed),
    )


def count_labelled(consensus: Consensus, classes: tuple[str, ...]) -> dict[str, int]:
    """Return how many movie times each class won, NONE last."""
    counts = {name: int((consensus.emotion == i).sum()) for i, name in enumerate(classes)}
    return counts | {NONE: int((consensus.emotion == -1).sum())}


def _last_wins(events: list[Event], rule: Rule) -> list[Event]:
    if rule.characters is None:
        return events
    rank = {character: i for i, character in enumerate(rule.characters)}
    # Sorting is stable, so events of equal rank keep file order, and reversed the first row is laid last.
    return sorted(events, key=lambda event: rank.get(event.character, len(rank)))[::-1]
