from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepemotion import config_files
from deepemotion.dataset.description import Dataset
from deepemotion.labels import annotations
from deepemotion.labels.annotations import Event
from deepemotion.labels.consensus import Consensus, TimeGrid, count_labelled, labels_given, vote
from deepemotion.labels.rules import Rule

PAPER = Rule.read(config_files.find("paper", "labels"))
INTERVAL = Rule.read(config_files.find("interval", "labels"))
STUDYFORREST = Dataset.read(config_files.find("studyforrest", "datasets"))
GRID = TimeGrid(start=0.0, step=2.0, count=10)

# Hundredths of a second: what lies closer to a grid time than rounding errors counts as on it.
seconds = st.integers(0, 1990).map(lambda hundredths: hundredths / 100)
events = st.builds(
    lambda start, length, character, labels: Event(start, start + length, character, tuple(labels)),
    seconds,
    st.integers(0, 800).map(lambda hundredths: hundredths / 100),
    st.sampled_from(["FORREST", "JENNY", "MAN"]),
    st.lists(st.sampled_from(sorted(INTERVAL.class_of)), max_size=2, unique=True),
)
crowds = st.lists(st.lists(events, min_size=1, max_size=6), min_size=1, max_size=5)


def named(crowd: list[list[Event]]) -> dict[str, list[Event]]:
    return {f"av1o{number:02d}": of_observer for number, of_observer in enumerate(crowd)}


def decide(crowd: list[list[Event]], rule: Rule, grid: TimeGrid = GRID) -> Consensus:
    return vote(labels_given(named(crowd), grid, rule), rule)


def emotions(crowd: list[list[Event]], rule: Rule, grid: TimeGrid = GRID) -> list[str]:
    names = [*rule.classes, "NONE"]
    return [names[index] for index in decide(crowd, rule, grid).emotion]


def label_real(folder: Path, rule: Rule) -> Consensus:
    observers = annotations.read(folder, rule.observers, rule.class_of)
    return vote(labels_given(observers, TimeGrid.of_movie(STUDYFORREST, rule), rule), rule)


def test_the_paper_rule_reproduces_the_published_labels(shared_annotations: Path) -> None:
    consensus = label_real(shared_annotations, PAPER)
    assert count_labelled(consensus, PAPER.classes) == {
        "ANGER": 80,
        "FEAR": 170,
        "HAPPINESS": 206,
        "LOVE": 105,
        "SADNESS": 238,
        "NONE": 2718,
    }


@pytest.mark.parametrize(("observers", "labelled"), [("av", 1530), ("ao", 1513)])
def test_the_interval_rule_labels_about_twice_as_many(shared_annotations: Path, observers: str, labelled: int) -> None:
    consensus = label_real(shared_annotations, INTERVAL.replaced("test", observers=observers))
    assert len(consensus.emotion) == 3543
    assert (consensus.emotion >= 0).sum() == labelled


@pytest.mark.parametrize(
    ("start", "end", "paper", "interval"),
    [
        (4, 8, [2, 3], [2, 3]),
        (4, 9, [2, 3, 4], [2, 3, 4]),
        (3, 8, [], [1, 2, 3]),
        (4.9, 7.2, [2, 3], [2, 3]),
        (6, 6, [], [3]),
        (7.5, 7.5, [], [3]),
        (18, 40, [9], [9]),
        (20, 40, [], []),
    ],
)
def test_which_times_an_event_labels(start: float, end: float, paper: list[int], interval: list[int]) -> None:
    event = Event(start, end, "MAN", ("FEAR",))
    everywhere = list(range(GRID.count))
    assert everywhere[GRID.covered(event, PAPER)] == paper
    assert everywhere[GRID.covered(event, INTERVAL)] == interval


def test_sums_of_a_tr_without_exact_binary_fraction_do_not_shift_events() -> None:
    grid = TimeGrid(start=0.0, step=0.7, count=1000)
    for index in range(999):
        event = Event(float(grid.movie_time[index]), float(grid.movie_time[index + 1]), "MAN", ("FEAR",))
        assert grid.covered(event, INTERVAL) == slice(index, index + 1)


def test_a_short_movie_ends_the_grid_before_the_rule_does() -> None:
    segments = [{"run": 1, "start": 0, "end": 41}]
    movie = Dataset.model_validate(STUDYFORREST.model_dump() | {"segments": segments})
    assert TimeGrid.of_movie(movie, PAPER) == TimeGrid(0.0, 2.0, 21)
    assert TimeGrid.of_movie(STUDYFORREST, PAPER).movie_time[-1] == 7032
    assert TimeGrid.of_movie(STUDYFORREST, INTERVAL).movie_time[-1] == 7084


def test_the_character_of_first_priority_speaks_for_an_observer_even_without_emotion() -> None:
    rule = PAPER.replaced("test", threshold=1)
    crowd = [[Event(0, 8, "MAN", ("FEAR",)), Event(2, 6, "JENNY", ("LOVE",)), Event(4, 6, "FORREST", ())]]
    assert emotions(crowd, rule)[:5] == ["FEAR", "LOVE", "NONE", "FEAR", "NONE"]
    equals = [[Event(0, 2, "MAN", ("FEAR",)), Event(0, 2, "WOMAN", ("LOVE",))]]
    assert emotions(equals, rule)[0] == "FEAR"


def test_under_the_interval_rule_every_character_counts() -> None:
    rule = INTERVAL.replaced("test", threshold=1)
    both = Event(0, 2, "MAN", ("FEAR",)), Event(0, 2, "FORREST", ("LOVE", "COMPASSION"))
    consensus = decide([[*both], [both[0]]], rule)
    assert consensus.soft[0].tolist() == [0, 1, 0, 0.5, 0]
    assert consensus.votes[0] == 2


def test_ties_go_to_the_first_observer_or_to_nobody() -> None:
    love, fear = [Event(0, 2, "MAN", ("LOVE",))], [Event(0, 2, "MAN", ("FEAR",))]
    rule = INTERVAL.replaced("test", threshold="half")
    assert emotions([love, fear], rule)[0] == "NONE"
    assert emotions([love, fear], rule.replaced("test", ties="first"))[0] == "LOVE"
    assert emotions([fear, love], rule.replaced("test", ties="first"))[0] == "FEAR"


def test_labels_under_none_have_no_vote() -> None:
    consensus = decide([[Event(0, 2, "MAN", ("GLOATING",))]], INTERVAL.replaced("test", threshold=1))
    assert consensus.emotion[0] == -1
    assert consensus.votes[0] == 0


@settings(deadline=None)
@given(crowds)
def test_the_interval_rule_loses_no_event(crowd: list[list[Event]]) -> None:
    labels = list(INTERVAL.class_of)
    given_labels = labels_given(named(crowd), GRID, INTERVAL)
    for of_observer, observed in zip(given_labels, crowd, strict=True):
        for event in observed:
            moment = int(event.start // GRID.step)
            for label in event.labels:
                assert of_observer[moment, labels.index(label)]


@settings(deadline=None)
@given(crowds, st.sampled_from([PAPER, INTERVAL]), st.sampled_from(["first", "none"]))
def test_a_label_has_the_votes_it_needs(crowd: list[list[Event]], rule: Rule, ties: str) -> None:
    rule = rule.replaced("test", ties=ties)
    consensus = decide(crowd, rule)
    assert ((consensus.soft >= 0) & (consensus.soft <= 1)).all()
    assert np.array_equal(np.rint(consensus.soft.max(axis=1) * len(crowd)), consensus.votes)
    labelled = np.flatnonzero(consensus.emotion >= 0)
    assert (consensus.votes[labelled] >= rule.votes_needed(len(crowd))).all()
    best = consensus.soft[labelled, consensus.emotion[labelled]]
    assert np.array_equal(best, consensus.soft[labelled].max(axis=1))


@settings(deadline=None)
@given(crowds, st.randoms(use_true_random=False))
def test_the_order_of_events_is_irrelevant_under_the_interval_rule(crowd: list[list[Event]], random: object) -> None:
    shuffled = [sorted(observed, key=lambda _: random.random()) for observed in crowd]  # type: ignore[attr-defined]
    assert np.array_equal(decide(crowd, INTERVAL).soft, decide(shuffled, INTERVAL).soft)


@settings(deadline=None)
@given(crowds)
def test_the_order_of_observers_is_irrelevant_where_ties_have_no_label(crowd: list[list[Event]]) -> None:
    assert np.array_equal(decide(crowd, INTERVAL).emotion, decide(crowd[::-1], INTERVAL).emotion)
