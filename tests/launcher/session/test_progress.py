"""What a session shows of its progress, on a terminal and in logs."""

import re

import pytest
from small_plan import planned

from launcher.session.progress import SessionProgress

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


@pytest.fixture
def now(monkeypatch):
    """The time that the progress reads (s): a list of one number."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def show(trials, done=0, **options):
    return SessionProgress(trials, done, lambda running: None, lambda: None, **options)


def trials(*names, work=10.0, epochs=10):
    return [planned(name, name, work=work, train={"epochs": epochs}) for name in names]


def test_the_line_counts_trials_and_estimates_the_time_left(now):
    # The pooled trial is three times the work of each other.
    pooled = planned("pooled", "pooled", work=30.0, train={"epochs": 10})
    beats = []
    plan = [pooled, *trials("one", "two", "three")]
    progress = SessionProgress(plan, 2, lambda running: beats.append(sorted(running)), lambda: None)
    # Those that were done before count as trials of the mean size.
    assert progress.summary() == "2/6 done · 0 running · 0 failed · 33 %"
    progress.started("pooled")
    progress.started("one")
    progress.tick()
    for epoch in range(1, 6):
        now[0] += 1.0
        progress.epoch("one", epoch, 0.25, 1.0)
        if epoch in (3, 5):
            progress.epoch("pooled", epoch // 2, 0.75, 3.0 if epoch == 3 else 2.0)
    # The pooled trial takes another 20 s. On the other slot, one takes 5 s, then each of two others 10 units of work
    # at the pace of both so far: 11 units in 10 s.
    best = "best validation accuracy 75.0 % (pooled)"
    assert progress.summary() == f"2/6 done · 2 running · 0 failed · 46 % · 1.4 epochs/s · 0:23 left · {best}"
    assert beats == [["one", "pooled"]]
    progress.finished("one")
    progress.failed("pooled")
    assert progress.summary() == f"3/6 done · 0 running · 1 failed · 51 % · 0:09 left · {best}"


def test_epochs_of_earlier_sessions_do_not_shorten_the_estimated_time_left(now):
    progress = show(trials("a", "b"), before={"a": 6})
    assert "30 %" in progress.summary()
    progress.started("a")
    now[0] = 6.0
    # Resumed after epoch 6; of the 6 s, this epoch took 4.
    progress.epoch("a", 7, 0.5, 4.0)
    # Three more, then the other one, which starts in 2 s.
    assert "0:54 left" in progress.summary()


def test_what_trials_do_besides_epochs_is_part_of_the_time_left(now):
    progress = show(trials("a", "b", "c", epochs=1))
    progress.started("a")
    now[0] = 8.0
    progress.epoch("a", 1, 0.5, 2.0)
    now[0] = 9.0
    progress.finished("a")
    # 6 s before the epoch, 2 s for it and 1 s after it, twice.
    assert "0:18 left" in progress.summary()
    now[0] = 10.0
    progress.started("b")
    now[0] = 13.0
    progress.epoch("b", 1, 0.5, 2.0)
    now[0] = 14.0
    progress.finished("b")
    # Without a process to start it took 1 s before the epoch, and its place was empty for 1 s before.
    assert "0:05 left" in progress.summary()


def test_a_log_has_a_line_with_the_time_at_least_once_a_minute(now, tmp_path, capsys):
    log = tmp_path / "session.log"
    with show(trials("a", "b"), log=log) as progress:
        progress.started("a")
        for second in range(150):
            now[0] = float(second)
            progress.tick()
        progress.finished("a")
        progress.failed("b")
    lines = capsys.readouterr().err.splitlines()
    assert log.read_text().splitlines() == lines
    assert len(lines) == 4
    assert all(re.match(rf"{TIME} 0/2 done · 1 running · 0 failed · 0 %$", line) for line in lines[:2])
    assert re.match(rf"{TIME} done a · 1/2 done", lines[2])
    assert re.match(rf"{TIME} FAILED b · 1/2 done · 0 running · 1 failed", lines[3])


def test_a_log_that_cannot_be_written_stops_nothing(now, tmp_path, capsys):
    progress = show(trials("a"), log=tmp_path)
    progress.started("a")
    progress.finished("a")
    assert "done a" in capsys.readouterr().err


def test_quiet_shows_nothing_and_still_writes_the_log(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("deepemotion.console._quiet", True)
    with show(trials("a"), log=tmp_path / "log") as progress:
        progress.finished("a")
    assert capsys.readouterr() == ("", "")
    assert "done a" in (tmp_path / "log").read_text()
