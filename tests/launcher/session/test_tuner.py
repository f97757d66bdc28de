"""How the end of a trial under Ray Tune is recorded."""

from types import SimpleNamespace

import pytest

from deepemotion.errors import UserError
from deepemotion.training.data_sources import Sources
from launcher.run.directory import RunDirectory
from launcher.run.sessions import SessionFile
from launcher.session import tuner
from launcher.session.tuner import Relay

DIED = """Failure # 1 (occurred at 2026-01-01_00-00-00)
The actor died unexpectedly before finishing this task.
\tclass_name: ImplicitFunc
Failure # 2 (occurred at 2026-01-01_00-00-09)
Task was killed due to the node running low on memory.
Memory on the node was 23 GB / 24 GB
"""
RAISED = """Failure # 1 (occurred at 2026-01-01_00-00-00)
The actor died unexpectedly before finishing this task.
Failure # 2 (occurred at 2026-01-01_00-00-09)
ray::ImplicitFunc.train() (pid=1)
  File "trainable.py", line 48, in run_trial
launcher.session.trainable.TrialError: ValueError: 3: no such thing
"""


class Watcher:
    def __init__(self):
        self.lost = []

    def failed(self, trial):
        self.lost.append(trial)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            DIED,
            "its worker process died 4 times; the last time: Task was killed due to the node running low on memory.",
        ),
        (RAISED, "ValueError: 3: no such thing"),
        (None, "its worker process died 4 times; the last time: no reason given"),
    ],
)
def test_a_trial_that_failed_for_good_says_how_it_last_did(tmp_path, said, reason):
    run, watcher = RunDirectory(tmp_path), Watcher()
    session = SessionFile(run.sessions, ["one"], "7", "7").session
    trial = SimpleNamespace(config={"trial": {"name": "one"}}, get_error=lambda: said)
    Relay(run, session, watcher).on_trial_error(1, [], trial)
    directory = run.trial("one")
    assert directory.read_json(directory.failure) == {"reason": reason, "session": "7"}
    assert watcher.lost == ["one"]


def test_each_result_is_an_epoch_but_for_the_last_which_repeats_it(tmp_path):
    epochs = []
    relay = Relay(RunDirectory(tmp_path), None, SimpleNamespace(epoch=lambda *about: epochs.append(about)))
    trial = SimpleNamespace(config={"trial": {"name": "one"}})
    for result in (
        {"epoch": 1, "accuracy_validation": 0.5, "time_epoch": 2.0},
        {"epoch": 2, "accuracy_validation": 0.6, "time_epoch": 3.0},
        {"epoch": 2, "accuracy_validation": 0.6, "duration_s": 6.0},
    ):
        relay.on_trial_result(1, [], trial, result)
    assert epochs == [("one", 1, 0.5, 2.0), ("one", 2, 0.6, 3.0)]


def test_bad_input_that_the_worker_has_recorded_stays_the_reason(tmp_path):
    run = RunDirectory(tmp_path)
    session = SessionFile(run.sessions, ["one"], "7", "7").session
    directory = run.trial("one")
    directory.write_failure("labels.tsv: no such column", "7")
    trial = SimpleNamespace(config={"trial": {"name": "one"}}, get_error=lambda: RAISED)
    Relay(run, session, Watcher()).on_trial_error(1, [], trial)
    assert directory.read_json(directory.failure)["reason"] == "labels.tsv: no such column"


def test_a_full_disk_is_told_though_what_did_not_fit_has_made_room(tmp_path, monkeypatch):
    class Tuner:
        def __init__(self, *words, **options):
            pass

        def fit(self):
            error = RuntimeError("Tune's own words, over fifty lines")
            error.__context__ = UserError("failure.json: cannot write: No space left on device")
            raise error

    monkeypatch.setattr(tuner.tune, "Tuner", Tuner)
    run = RunDirectory(tmp_path)
    Sources(tmp_path, tmp_path / "labels.tsv").write(run.path)
    session = SessionFile(run.sessions, ["one"], None, None).session
    with pytest.raises(UserError, match="No space left on device"):
        tuner.run_session(run, [], {}, session, Watcher())
