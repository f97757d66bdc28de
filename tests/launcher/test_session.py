"""A session's surroundings: its live chart, its token, and tables that a killed process left to the next launch."""

import os
import stat

import pytest

from deepemotion.errors import UserError
from launcher import work
from launcher.backends import private_ray
from launcher.plan import PlannedTrial
from launcher.run_directory import RunDirectory


@pytest.mark.parametrize("error", [UserError("epochs.tsv: torn"), OSError(5, "Input/output error")])
def test_aggregates_that_cannot_be_refreshed_stop_no_trial(tmp_path, monkeypatch, capsys, error):
    run = RunDirectory(tmp_path / "run")
    trials = [PlannedTrial("a", "a", "a", "run", 1, 0, 1e-3, 0, 1, 1.0, {"train": {"epochs": 1}})]
    run.add_to_plan(trials)

    def fail(_run):
        raise error

    monkeypatch.setattr("launcher.tensorboard.refresh_aggregates", fail)
    monkeypatch.setattr("launcher.progress._REFRESH_EVERY_S", -1)
    with work.session(run, trials, 0) as session:
        for _ in range(3):
            session.watcher.tick()
    assert capsys.readouterr().err.count("the aggregates for TensorBoard wait") == 1


def test_a_token_is_whole_whenever_it_is_there(tmp_path, monkeypatch):
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
