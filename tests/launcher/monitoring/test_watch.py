"""Following a run until its trials are done."""

import json

import pytest
from watched_run import NAMES, epochs

from launcher.monitoring import watch


def test_following_says_once_what_keeps_it_from_seeing(run, site, monkeypatch, capsys):
    site(squeue=["7|0|RUNNING|None|node1|0|0|"])
    torn = run.trial(NAMES[0]).epochs
    torn.parent.mkdir(parents=True)
    torn.write_text("epoch")
    looks = []

    def wait(seconds):
        # Whoever waits for a program's answer sleeps less.
        if seconds >= 1:
            looks.append(seconds)
        if len(looks) == 3:
            for name in NAMES:
                epochs(run, name, 5)
                run.trial(name).result.write_text(json.dumps({"accuracy_validation": 0.5}))

    monkeypatch.setattr("time.sleep", wait)
    assert watch.watch(run)
    said = capsys.readouterr().err
    assert said.count(str(torn)) == 1
    assert "3 done" in said


@pytest.fixture
def tabulated(run, monkeypatch):
    """Return a list that grows when the tables are written from here; every pause is counted in another one."""
    written = []
    monkeypatch.setattr("launcher.session.session.tabulate", written.append)
    run.trial(NAMES[0]).result.parent.mkdir(parents=True)
    run.trial(NAMES[0]).result.write_text("{}")
    return written


def write_states(run, state):
    run.tables.mkdir(exist_ok=True)
    (run.tables / "trials.csv").write_text(f"trial,state\n{NAMES[0]},{state}\n{NAMES[1]},pending\n")


def test_following_waits_until_the_jobs_have_written_the_tables(run, site, tabulated, monkeypatch):
    site(squeue=["7|0|COMPLETING|None|node1|0|0|"])
    pauses = []

    def wait(seconds):
        if seconds >= 1:
            pauses.append(seconds)
            write_states(run, "running" if len(pauses) < 3 else "done")

    monkeypatch.setattr("time.sleep", wait)
    watch.wait_for_tables(run)
    assert len(pauses) == 3
    assert tabulated == []


def test_tables_that_no_job_is_left_to_write_are_written(run, site, tabulated):
    site(squeue=["7|0|CANCELLED|None|node1|0|0|"])
    write_states(run, "pending")
    watch.wait_for_tables(run)
    assert tabulated == [run]
