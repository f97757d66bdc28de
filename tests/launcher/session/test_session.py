"""The parts of a session around the trials: its aggregates, its token."""

import os
import stat

import pytest
from small_plan import planned

from deepemotion.errors import UserError
from launcher.run.directory import RunDirectory
from launcher.session import private_ray
from launcher.session.session import open_session

FULL = UserError("tensorboard/training: cannot write: No space left on device")
FULL.__cause__ = OSError(28, "No space left on device")


# A full disk is what the session itself ends with.
@pytest.mark.parametrize(
    ("error", "times"),
    [(UserError("epochs.tsv: truncated"), 1), (OSError(5, "Input/output error"), 1), (KeyError("loss"), 1), (FULL, 0)],
)
def test_aggregates_that_cannot_be_refreshed_stop_no_trial(tmp_path, monkeypatch, capsys, error, times):
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
    assert capsys.readouterr().err.count("the aggregates for TensorBoard were not updated") == times


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
