"""The lock on a trial's directory, from attempts that overlap in threads and in processes."""

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from deepemotion.errors import UserError
from deepemotion.training import trial_lock

HOLD = """
import sys, time
from pathlib import Path
from deepemotion.training import trial_lock
with trial_lock.held(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(trial_lock, "_LOOK_EVERY_S", 0.002)


def attempt(directory, log=lambda line: None):
    """Write into a trial as a training does, and return whether another attempt was in it at the same time."""
    with trial_lock.held(directory, log):
        if (directory / "result.json").exists():
            return "found done"
        try:
            (directory / "writing").touch(exist_ok=False)
        except FileExistsError:
            return "overlapped"
        with (directory / "epochs.tsv").open("a") as file:
            file.write("1\n")
        (directory / "result.json").write_text("{}")
        (directory / "writing").unlink()
        return "trained"


def test_of_a_hundred_overlapping_attempts_one_trains_and_the_others_find_it_done(tmp_path):
    directory = tmp_path / "trial"
    start = threading.Barrier(100)

    def run(_):
        start.wait()
        return attempt(directory)

    with ThreadPoolExecutor(100) as pool:
        outcomes = list(pool.map(run, range(100)))
    assert outcomes.count("trained") == 1
    assert outcomes.count("found done") == 99
    assert (directory / "epochs.tsv").read_text() == "1\n"


def test_processes_exclude_each_other(tmp_path):
    directory = tmp_path / "trial"
    with multiprocessing.get_context("fork").Pool(8) as pool:
        outcomes = pool.map(attempt, [directory] * 16)
        # They end by themselves: a signal may find a child of this process where it is not heard.
        pool.close()
        pool.join()
    assert sorted(outcomes) == ["found done"] * 15 + ["trained"]


def test_an_attempt_waits_says_for_whom_and_goes_on_when_the_holder_is_killed(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    lines = []

    def log(line):
        lines.append(line)
        holder.kill()

    with holder.stdout:
        assert attempt(tmp_path, log) == "trained"
    holder.wait()
    (line,) = lines
    assert f"pid {holder.pid} on " in line


def test_a_holder_without_a_sign_of_life_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(trial_lock, "_DEAD_AFTER_S", 0.05)
    lines = []
    with trial_lock.held(tmp_path, lines.append):
        assert attempt(tmp_path, lines.append) == "trained"
    assert "no sign of life" in lines[-1]


def test_a_holder_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(trial_lock, "_SIGN_EVERY_S", 0.005)
    with trial_lock.held(tmp_path, print):
        lock = tmp_path / ".lock"
        os.utime(lock, (0, 0))
        moved = threading.Event()
        while not moved.wait(0.005):
            if lock.stat().st_mtime > 0:
                moved.set()


def test_a_lock_whose_file_was_deleted_meanwhile_is_not_taken_for_one(tmp_path):
    with trial_lock.held(tmp_path, print):
        (tmp_path / ".lock").unlink()
        with trial_lock.held(tmp_path, print):
            assert (tmp_path / ".lock").is_file()


def test_where_nothing_can_be_written_a_line_says_so(tmp_path):
    (tmp_path / "trial").write_text("")
    with pytest.raises(UserError, match="cannot write"), trial_lock.held(tmp_path / "trial", print):
        pass
