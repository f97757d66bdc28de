"""A run that takes three allocations."""

import time

import pytest
from study import assert_curves_are_whole, assert_nothing_stayed

from launcher.run import sessions

pytestmark = pytest.mark.slow


def test_the_time_limit_strikes_twice(study):
    # More than two allocations can do, each with 140 s until it is warned: slowed down, a trial takes two minutes.
    epochs, subjects, trials = 60, "1-9,11-13", 13
    runs = study.both_ways("limit", trials_per_task=5, time=3, warn_before_end_s=40)
    for name, words in runs.items():
        study.submit_slowly(name, epochs, *words, subjects=subjects)
    study.slow_down_amid(*runs)
    done_early = {}
    while study.queue("%i"):
        for name in runs:
            if _limits(study, name) >= 2:
                study.speed_up(name)
            for trial, written in study.results(name).items():
                assert done_early.setdefault((name, trial), written) == written, f"{name}: {trial} was trained again"
        time.sleep(1)
    for name in runs:
        study.wait_until_done(name, trials)
        assert_curves_are_whole(study.run(name), epochs)
        assert _limits(study, name) >= 2
        # Nothing else has ended a session: a task that is requeued leaves the others of its array alone.
        ended = {session.ended for session in sessions.read(study.run(name).sessions)}
        assert ended == {"time limit", "done"}
    assert_nothing_stayed(study.cluster)


def _limits(study, name):
    """Return how often the time limit struck the task of a run's that it struck most often."""
    logs = [log.read_text() for log in study.run(name).slurm.glob("*.log")]
    return max((log.count("time limit: stopping") for log in logs), default=0)
