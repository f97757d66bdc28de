"""Whether one decoder answers more of the same volumes rightly: with a known truth, and at the edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from deepemotion.scoring import exceeding


def test_no_difference_is_seldom_called_one():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        block = np.repeat(np.arange(40), rng.geometric(1 / 8, 40))
        # Some blocks are easy for one decoder and hard for the other.
        right = [rng.random(len(block)) < rng.beta(0.6, 1.4, 40)[block] for _ in range(2)]
        hits += exceeding.over_blocks(right[0].astype(float) - right[1], block).p <= 0.05
    # Of 300 tests that are wrong in 5 of 100, 99 of 100 times at most 24 are.
    assert hits <= 24


def test_a_real_difference_is_found_and_its_interval_holds_it():
    rng = np.random.default_rng(0)
    block = np.repeat(np.arange(60), 8)
    difference = (rng.random(480) < 0.5).astype(float) - (rng.random(480) < 0.3)
    found = exceeding.over_blocks(difference, block)
    assert found.mean == pytest.approx(difference.mean())
    assert found.p < 0.01
    assert found.low < 0.2 < found.high
    assert exceeding.over_blocks(-difference, block).p > 0.99


@given(arrays.arrays(float, 30, elements=st.sampled_from([-1.0, 0.0, 1.0])), st.integers(1, 30))
def test_p_is_one_of_a_test_and_nothing_is_exceeded_by_itself(difference, blocks):
    found = exceeding.over_blocks(difference, np.arange(30) * blocks // 30)
    if blocks == 1:
        assert np.isnan([found.low, found.high, found.p]).all()
    else:
        assert 0 < found.p <= 1
        assert found.low <= found.high
        if found.mean <= 0:
            assert found.p > 0.4


def test_equal_answers_are_no_difference():
    assert exceeding.over_blocks(np.zeros(20), np.arange(20) // 4).p == 1
    assert np.isnan(exceeding.over_blocks(np.zeros(0), np.zeros(0, dtype=int)).p)


def test_subjects_count_by_their_signs_from_five_on():
    assert exceeding.over_subjects(np.full(5, 0.1)) == 1 / 32
    assert exceeding.over_subjects(-np.full(5, 0.1)) == 1 - 1 / 32
    assert np.isnan(exceeding.over_subjects(np.full(4, 0.1)))
    assert exceeding.over_subjects(np.zeros(6)) >= 0.5
    assert exceeding.over_subjects(np.array([0.9, -0.1, -0.1, -0.1, -0.1, -0.1])) > 0.05


def six_subjects(rng, blocks, skill, of_control=0.2, shared=True):
    """Six subjects' answers, right by block with a chance of `skill`, and a control's with one of `of_control`."""
    block, subject = np.tile(np.repeat(np.arange(blocks), 4), 6), np.repeat(np.arange(6), 4 * blocks)
    right = (rng.random((6, blocks)) < skill)[subject, block].astype(float)
    control = np.tile(rng.random(blocks) < of_control, (6, 1)) if shared else rng.random((6, blocks)) < of_control
    return right, control[subject, block].astype(float), block, subject


def test_a_shared_control_that_is_right_in_few_blocks_is_seldom_said_to_be_beaten():
    rng = np.random.default_rng(0)
    hits = {"exchange": 0, "blocks": 0}
    for _ in range(300):
        right, control, block, subject = six_subjects(rng, 19, 0.1, 0.1)
        hits["exchange"] += exceeding.by_exchange(right, control, block, subject) <= 0.05
        hits["blocks"] += exceeding.over_blocks(right - control, block).p <= 0.05
    # Of 300 tests that are wrong in 5 of 100, 99 of 100 times at most 24 are.
    assert hits["exchange"] <= 24 < hits["blocks"]


def test_six_subjects_that_are_better_beat_a_shared_control():
    right, control, block, subject = six_subjects(np.random.default_rng(0), 30, 0.6)
    assert exceeding.by_exchange(right, control, block, subject) < 0.01


def test_controls_with_answers_of_their_own_in_each_subject_are_not_exchanged():
    answers = six_subjects(np.random.default_rng(0), 30, 0.6, shared=False)
    assert np.isnan(exceeding.by_exchange(*answers))
    assert np.isnan(exceeding.by_exchange(*(values[:0] for values in answers)))


def test_a_subject_without_a_block_leaves_the_others_comparable():
    right, control, block, subject = six_subjects(np.random.default_rng(0), 30, 0.6)
    there = (subject > 0) | (block < 20)
    assert exceeding.by_exchange(*(values[there] for values in (right, control, block, subject))) < 0.01
