"""SLURM's signals to a job."""

import signal
from types import SimpleNamespace

import pytest

from launcher.slurm import job


@pytest.fixture
def session():
    """Return a session that listens to SLURM's signals, and what its record was told."""
    told = []
    session = SimpleNamespace(unfinished=True, stopped_by=None, record=SimpleNamespace(end=told.append), told=told)
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR2, signal.SIGTERM)}
    job._stop_on_signals(session)
    yield session
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "why"), [(signal.SIGUSR2, "time limit"), (signal.SIGTERM, "terminated")])
def test_a_session_with_trials_left_is_stopped(session, number, why):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert (session.stopped_by, session.told) == (why, [why])


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_a_session_whose_trials_are_done_writes_its_tables(session, number):
    session.unfinished = False
    signal.raise_signal(number)
    assert (session.stopped_by, session.told) == (None, [])
