"""The watch over the processes that a session cannot do without."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from launcher.session.lifelines import Lifelines

LOOKS = 20


@pytest.fixture
def process():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


@pytest.fixture
def lifelines(process):
    watched = Lifelines(os.getpid())
    watched.add(process.pid, "the driver process")
    return watched


def stop(process):
    process.send_signal(signal.SIGSTOP)
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)


def test_a_process_that_ended_is_named(process, lifelines):
    assert lifelines.dead() is None
    process.kill()
    process.wait()
    assert lifelines.dead() == "the driver process died"


def test_a_process_that_stays_stopped_is_named(process, lifelines):
    stop(process)
    assert lifelines.dead() is None
    assert [lifelines.dead() for _ in range(LOOKS)][-1] == "the driver process was stopped"


def test_a_process_that_is_stopped_for_a_moment_is_alive(process, lifelines):
    for _ in range(LOOKS):
        stop(process)
        assert lifelines.dead() is None
        process.send_signal(signal.SIGCONT)
        while psutil.Process(process.pid).status() == psutil.STATUS_STOPPED:
            time.sleep(0.01)
        assert lifelines.dead() is None


def test_a_process_that_has_gone_before_it_is_watched_is_left_out(process):
    process.kill()
    process.wait()
    watched = Lifelines(os.getpid())
    watched.add(process.pid, "the driver process")
    assert watched.dead() is None
