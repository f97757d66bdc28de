"""The parts of a session around the trials: its live line, its aggregates, its token."""

import os
import stat

import pytest
from small_plan import planned

from deepemotion.errors import UserError
from launcher.run.directory import RunDirectory
from launcher.session import private_ray
from launcher.session.progress import SessionProgress
from launcher.session.session import open_session


@pytest.mark.parametrize(
    "error", [UserError("epochs.tsv: truncated"), OSError(5, "Input/output error"), KeyError("loss/train")]
)
def test_aggregates_that_cannot_be_refreshed_stop_no_trial(tmp_path, monkeypatch, capsys, error):
    run = RunDirectory(tmp_path / "run")
    trials = [planned("a", train={"epochs": 1})]
    run.add_to_plan(trials)

    def fail(_board):
        raise error

    monkeypatch.setattr("launcher.tables.tensorboard.Board.refresh", fail)
    monkeypatch.setattr("launcher.session.progress._REFRESH_EVERY_S", -1)
    with open_session(run, trials, 0) as session:
        for _ in range(3):
            session.watcher.tick()
    assert capsys.readouterr().err.count("the aggregates for TensorBoard were not updated") == 1


def test_a_token_file_is_complete_from_the_moment_it_exists(tmp_path, monkeypatch):
    path = tmp_path / "slurm" / "token"

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", killed)
    with pytest.raises(KeyboardInterrupt):
        private_ray.write_token(path)
    assert list(path.parent.iterdir()) == []
    monkeypatch.undo()
    private_ray.write_token(path)
    token = path.read_text()
    assert len(token) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    private_ray.write_token(path)
    assert path.read_text() == token


def test_the_live_line_counts_trials_and_estimates_the_time_left(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    # The pooled trial is three times the work of each other.
    trials = [
        planned(name, name, work=float(weight), train={"epochs": 10})
        for name, weight in (("pooled", 30), ("one", 10), ("two", 10), ("three", 10))
    ]
    beats = []
    progress = SessionProgress(trials, 2, lambda running: beats.append(sorted(running)), lambda: None)
    assert progress.summary() == "2/6 done · 0 running · 0 failed"
    progress.started("pooled")
    progress.started("one")
    now[0] = 10.0
    for epoch in range(1, 6):
        progress.epoch("one", epoch, 0.25)
        progress.epoch("pooled", epoch, 0.75)
    # 20 of 60 took 10 s.
    assert (
        progress.summary() == "2/6 done · 2 running · 0 failed · best validation accuracy 75.0 % (pooled) · 0:20 left"
    )
    progress.tick()
    assert beats == [["one", "pooled"]]
    progress.finished("one")
    progress.failed("pooled")
    assert (
        progress.summary() == "3/6 done · 0 running · 1 failed · best validation accuracy 75.0 % (pooled) · 0:05 left"
    )


def test_epochs_of_earlier_sessions_do_not_shorten_the_estimated_time_left(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    trials = [planned("a", work=10.0, train={"epochs": 10})]
    progress = SessionProgress(trials, 0, lambda running: None, lambda: None)
    now[0] = 6.0
    # Resumed after epoch 6, of which this session trained none.
    progress.epoch("a", 7, 0.5)
    assert progress.summary().endswith("0:18 left")
