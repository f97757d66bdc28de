"""Observers against the label of the others, where the truth is known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deepemotion import config_files
from deepemotion.dataset.description import Dataset
from deepemotion.labels.leave_one_out import score_observers
from deepemotion.labels.pipeline import make_labels
from deepemotion.labels.rules import Rule
from deepemotion.samples.movie_blocks import label_blocks
from deepemotion.scoring.ceiling import Ceiling, observers_ceiling

CLASSES = 4
# Up to 7 observers at 12 times; several classes at once, or none, are allowed.
crowds = st.integers(1, 7).flatmap(lambda observers: arrays(np.bool_, (observers, 12, CLASSES)))


def single(answers):
    """Return what observers gave (O, N, C) from one class each (O, N), -1 for none."""
    return np.asarray(answers)[..., None] == np.arange(CLASSES)


def of_classes(others: str, own: str):
    """Return one movie time's answers, `ABB.` for one observer each; the one who is looked at comes last."""
    return single([["ABCD".find(letter)] for letter in others + own])


def test_identical_observers_are_always_right() -> None:
    answers = np.random.default_rng(0).integers(-1, CLASSES, 200)
    scores = score_observers(single([answers] * 5), 3)
    assert scores.compared.tolist() == np.where(answers >= 0, 5, 0).tolist()
    assert (scores.right == scores.compared).all()


@pytest.mark.parametrize(("observers", "needed"), [(3, 2), (5, 3), (6, 3), (9, 3)])
def test_observers_who_answer_at_random_are_right_by_chance(observers: int, needed: int) -> None:
    """Labels that hang on one vote would lift this far above chance."""
    answers = np.random.default_rng(observers).integers(0, CLASSES, (observers, 60_000))
    scores = score_observers(single(answers), needed)
    assert scores.compared.sum() > 4000
    # Of the observers compared at one time, several answers are counted.
    error = np.sqrt(0.25 * 0.75 / (scores.compared > 0).sum())
    assert scores.right.sum() / scores.compared.sum() == pytest.approx(1 / CLASSES, abs=4 * error)


@pytest.mark.parametrize(
    ("others", "own", "compared", "right"),
    [
        ("AAAB", "A", 1, 1),  # three votes against one: the last observer cannot change the label
        ("AAAB", "B", 1, 0),
        ("AAAB", ".", 0, 0),  # gave nothing
        ("AABB", "A", 0, 0),  # decides the label alone
        ("AAABB", "B", 0, 0),  # could make it a tie
        ("AA..", "B", 0, 0),  # too few votes
    ],
)
def test_an_observer_is_compared_where_the_others_decide(others: str, own: str, compared: int, right: int) -> None:
    everyone = score_observers(of_classes(others, own), 3)
    # The same without what the last observer gave leaves the comparisons of the others only where these do not change.
    rest = sum(score_of_one(of_classes(others, own), place, needed=3) for place in range(len(others)))
    assert (everyone.compared[0], everyone.right[0]) == (compared + rest[0], right + rest[1])


def score_of_one(gave, place, needed):
    """Return (compared, right) of one observer at the first time, from the definition."""
    own, others = gave[place, 0], np.delete(gave, place, axis=0)[:, 0].sum(axis=0)
    first, second = np.sort(others)[::-1][:2]
    if not own.any() or first < needed or first < second + 2:
        return np.zeros(2)
    return np.array([1, own[others.argmax()] / own.sum()])


@given(crowds, st.integers(1, 4))
def test_scores_follow_the_definition_for_every_crowd(gave, needed) -> None:
    scores = score_observers(gave, needed)
    for time in range(gave.shape[1]):
        expected = sum(score_of_one(gave[:, [time]], place, needed) for place in range(len(gave)))
        assert (scores.compared[time], scores.right[time]) == pytest.approx(tuple(expected))
    assert (scores.right <= scores.compared + 1e-9).all()
    assert (scores.compared <= len(gave)).all()


@given(crowds, st.integers(1, 4), st.integers(0, 2**31))
def test_neither_the_order_of_observers_nor_of_classes_matters(gave, needed, seed) -> None:
    generator = np.random.default_rng(seed)
    mixed = gave[generator.permutation(len(gave))][:, :, generator.permutation(CLASSES)]
    one, other = score_observers(gave, needed), score_observers(mixed, needed)
    assert one.compared.tolist() == other.compared.tolist()
    np.testing.assert_allclose(one.right, other.right)


def test_of_several_emotions_at_once_one_counts() -> None:
    gave = np.concatenate([single([[0]] * 4), single([[0]]) | single([[1]])])
    scores = score_observers(gave, 3)
    assert (scores.compared[0], scores.right[0]) == (5, 4.5)


def ceiling_of(folder: Path, rule: str, **changes: object) -> tuple[Ceiling, tuple[str, ...]]:
    chosen = Rule.read(config_files.find(rule, "labels")).replaced("test", **changes)
    made = make_labels(folder, Dataset.read(config_files.find("studyforrest", "datasets")), chosen)
    rows = made.consensus.emotion >= 0
    label, scores = made.consensus.emotion[rows], made.consensus.observer_scores
    block = label_blocks(np.zeros(len(label), np.int64), made.grid.movie_time[rows], label)
    compared = scores.compared[rows].astype(np.float64)
    return observers_ceiling(compared, scores.right[rows], label, block, CLASSES + 1), chosen.classes


@pytest.mark.parametrize(
    ("rule", "observers", "overall", "by_class"),
    [
        ("interval", "av", 0.783, (0.789, 0.812, 0.805, 0.688, 0.777)),
        ("interval", "ao", 0.772, (0.829, 0.481, 0.732, 0.649, 0.892)),
    ],
)
def test_the_real_observers_agree_in_about_four_of_five_answers(
    shared_annotations: Path, rule: str, observers: str, overall: float, by_class: tuple[float, ...]
) -> None:
    ceiling, classes = ceiling_of(shared_annotations, rule, observers=observers)
    assert classes == ("ANGER", "FEAR", "HAPPINESS", "LOVE", "SADNESS")
    assert ceiling.overall.value == pytest.approx(overall, abs=5e-4)
    assert ceiling.overall.low < overall < ceiling.overall.high
    assert [one.value for one in ceiling.by_class] == pytest.approx(by_class, abs=5e-4)


def test_where_the_others_decide_the_label_is_theirs() -> None:
    """Whatever one observer gives, and whichever rule breaks ties."""
    from deepemotion.labels.consensus import vote

    rules = [Rule.read(config_files.find(name, "labels")) for name in ("interval", "paper")]
    generator = np.random.default_rng(1)
    for rule in rules:
        given = generator.random((5, 400, len(rule.class_of))) < 0.06
        consensus = vote(given, rule)
        members = np.array([[owner == name for name in rule.classes] for owner in rule.class_of.values()])
        for place in range(len(given)):
            others = np.delete(given @ members, place, axis=0).sum(axis=0)
            votes = np.sort(others, axis=1)
            decided = (votes[:, -1] >= rule.votes_needed(5)) & (votes[:, -1] >= votes[:, -2] + 2)
            assert decided.any()
            assert (consensus.emotion[decided] == others.argmax(axis=1)[decided]).all()
