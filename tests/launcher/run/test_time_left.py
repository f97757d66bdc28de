"""How fast trials are trained, and how long what is left takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_plan import planned

from launcher.run.time_left import Course, epochs_per_second, seconds_left, share_trained

EPOCHS = 10


def trial(name="t", work=10.0, **settings):
    return planned(name, work=work, train={"epochs": EPOCHS}, **settings)


def running(epochs, seconds, idle_s=0.0, **about):
    return Course(trial(**about), epochs, epochs, seconds, running=True, idle_s=idle_s)


def test_nothing_is_known_before_the_first_epoch():
    assert seconds_left([Course(trial(), running=True), Course(trial())], 1) is None
    assert epochs_per_second([Course(trial(), running=True)]) == 0


def test_waiting_trials_are_as_fast_as_their_work_says():
    # 2 s an epoch; a trial of three subjects needs three times that.
    courses = [running(4, 8.0), Course(trial(work=30.0))]
    assert seconds_left(courses, 1) == pytest.approx(12 + 60)
    assert seconds_left(courses, 2) == pytest.approx(60)
    assert seconds_left(courses, 1, startup_s=5) == pytest.approx(12 + 5 + 60)


def test_the_longest_running_trial_decides_when_nothing_waits():
    # The pooled trial, which has most of the work, is alone at the end: other trials have no part in that.
    courses = [running(9, 9.0), running(1, 10.0, work=100.0), Course(trial(), EPOCHS, EPOCHS, 10.0, ended=True)]
    assert seconds_left(courses, 2) == pytest.approx(90)
    assert epochs_per_second(courses) == pytest.approx(1 + 1 / 10)


def test_an_epoch_that_has_begun_shortens_the_time_left():
    assert seconds_left([running(4, 8.0, idle_s=1.5)], 1) == pytest.approx(10.5)
    assert seconds_left([running(9, 18.0, idle_s=60.0)], 1) == 0


def test_models_have_their_own_pace():
    fast = running(5, 0.5, model={"name": "linear"})
    courses = [fast, running(5, 50.0), Course(trial(model={"name": "linear"})), Course(trial())]
    assert seconds_left(courses, 2) == pytest.approx(50 + 100 - 50 + 0.5 + 1)


def test_failed_trials_leave_nothing_to_train_and_are_no_work_done():
    courses = [Course(trial(), 5, 5, 10.0, ended=True), Course(trial(), EPOCHS, EPOCHS, 20.0, ended=True)]
    assert seconds_left(courses, 2) == 0
    assert share_trained(courses) == 0.75
    assert share_trained([]) == 1


@given(
    st.lists(st.tuples(st.integers(1, EPOCHS), st.floats(0.1, 100)), min_size=1), st.integers(0, 9), st.integers(1, 9)
)
def test_more_trials_at_once_never_take_longer_than_one_after_the_other(parts, waiting, at_once):
    courses = [running(epochs, seconds) for epochs, seconds in parts] + [Course(trial()) for _ in range(waiting)]
    together = sum(seconds_left([course], 1) for course in courses[: len(parts)])
    alone = seconds_left(courses, 1)
    assert 0 <= seconds_left(courses, at_once) <= alone + 1e-6
    if not waiting:
        assert seconds_left(courses, at_once) <= together + 1e-6


def test_a_trial_that_has_just_started_is_as_fast_as_others_of_its_kind():
    courses = [Course(trial(), EPOCHS, EPOCHS, 20.0, ended=True), Course(trial(work=40.0), running=True)]
    assert epochs_per_second(courses) == pytest.approx(1 / 8)


def test_trials_that_are_no_work_take_no_time():
    courses = [running(5, 5.0), Course(trial(work=0.0), running=True), Course(trial(work=0.0))]
    assert seconds_left(courses, 2) == 5
    assert epochs_per_second(courses) == 1


def test_a_first_epoch_that_takes_long_says_that_the_others_of_its_model_will():
    fast = Course(trial(model={"name": "linear"}), EPOCHS, EPOCHS, 1.0, ended=True)
    slow = Course(trial(), running=True, idle_s=12.0)
    # Of the 12 s, 2 passed before the epoch began: ten epochs take 10 s each at least.
    assert seconds_left([fast, slow], 1, startup_s=2.0) == pytest.approx(2 + 100 - 12)
    assert seconds_left([fast, slow, Course(trial())], 1, startup_s=2.0) == pytest.approx(2 + 100 - 12 + 2 + 100)
    assert seconds_left([fast, slow, Course(trial(model={"name": "linear"}))], 2, startup_s=2.0) == pytest.approx(90)
