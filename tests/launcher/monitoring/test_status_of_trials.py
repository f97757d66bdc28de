"""What status says of trials, from the run's directory beside a squeue whose words are known."""

import json
import os

from watched_run import NAMES, epochs, planned, words

from launcher.monitoring import status
from launcher.run import sessions
from launcher.run.directory import RunDirectory
from launcher.run.sessions import SessionFile
from launcher.slurm import submissions
from launcher.slurm.submissions import Submission
from launcher.tables.trials import trials_table


def test_done_failed_and_partly_trained(run, site):
    site(squeue=["7|0|COMPLETED|None|node1|0|0|", "7|1|FAILED|None|node1|1|0|"], sacct=None)
    for name, count in zip(NAMES, (5, 2, 1), strict=True):
        epochs(run, name, count)
    run.trial(NAMES[0]).result.write_text("{}")
    run.trial(NAMES[1]).failure.write_text(json.dumps({"reason": "sub-02.h5: truncated", "session": "7"}))
    done, failed, stopped = status.read(run)
    assert (done.state, done.epochs, done.accuracy) == ("done", 5, 0.5)
    assert (failed.state, failed.detail) == ("failed", "sub-02.h5: truncated")
    assert failed.log == run.trial(NAMES[1]).log_file
    assert (stopped.state, stopped.epochs) == ("stopped", 1)


def test_where_there_is_no_slurm_the_directory_alone_tells(run, site):
    site()
    assert words(run)[NAMES[0]] == ("pending", "job 7_0; SLURM cannot be asked from this machine")


def test_trials_that_nobody_was_asked_to_train(tmp_path, site):
    site(squeue=None)
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.add_to_plan([planned(name) for name in NAMES])
    assert {state for state, _ in words(run).values()} == {"planned"}


def test_nobody_has_to_do_anything_about_trials_whose_data_was_made_anew(run, site):
    site(squeue=["7|0|FAILED|None|node1|1|0|", "7|1|RUNNING|None|node1|0|0|", "7|2|FAILED|None|node1|1|0|"], sacct=None)
    epochs(run, NAMES[2], 5)
    run.trial(NAMES[2]).result.write_text('{"accuracy_train": 1.0, "accuracy_validation": 0.5, "epochs": 5}')
    run.trial(NAMES[0]).write_failure("sub-01.h5: truncated", "7")
    run.add_to_plan([planned(f"{name.split('_')[0]}_new") for name in NAMES])
    shown = {one.trial.name: one for one in status.read(run)}
    failed = shown[NAMES[0]]
    assert (failed.state, failed.detail, failed.wrong) == ("replaced", "by sub-01_new", False)
    assert failed.last_lines() == []
    # What is at work or was finished is still told.
    assert (shown[NAMES[1]].state, shown[NAMES[2]].state) == ("running", "done")
    assert trials_table(run).set_index("trial")["state"].to_dict() == {
        **{NAMES[0]: "replaced", NAMES[1]: "replaced", NAMES[2]: "done"},
        **{"sub-01_new": "planned", "sub-02_new": "planned", "pooled_new": "planned"},
    }
    # The former data is back: its trials count again.
    run.add_to_plan([planned(NAMES[0])])
    shown = {one.trial.name: one for one in status.read(run)}
    assert (shown[NAMES[0]].state, shown["sub-01_new"].state) == ("failed", "replaced")


def test_a_session_that_was_killed_is_not_taken_for_running(run, site):
    site(squeue=["7|0|RUNNING|None|node1|0|0|"])
    record = SessionFile(run.sessions, [NAMES[0]], "7", "7_0")
    record.beat([NAMES[0]])
    path = run.sessions / "session-001.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "host": "elsewhere"}))
    assert run.running() == {NAMES[0]}
    os.utime(path, (content["beat"] - 600,) * 2)
    assert run.running() == set()
    path.write_text(json.dumps({**content, "pid": 2**22 + 1}))
    assert run.running() == set()
    again = SessionFile(run.sessions, [NAMES[0]], "7", "7_0")
    assert again.session.name == "session-002"
    assert [one.name for one in sessions.read(run.sessions)] == ["session-001", "session-002"]


def test_a_trial_that_starts_while_status_looks_is_no_trouble(run, site, monkeypatch):
    site(squeue=["7|0|RUNNING|None|node1|0|0|"])
    SessionFile(run.sessions, [NAMES[0]], "7", "7_0").beat([NAMES[0]])
    later = sessions.read(run.sessions)
    looks = iter([[], later, later])
    monkeypatch.setattr(sessions, "read", lambda folder: next(looks))
    assert words(run)[NAMES[0]][0] in ("pending", "running")


def test_an_old_failure_says_nothing_while_another_job_tries_again(run, site):
    run.trial(NAMES[0]).write_failure("sub-01.h5: truncated", "7")
    site(squeue=["7|0|FAILED|None|node1|256|0|", "8||PENDING|Priority||0|0|".replace("||P", "|N/A|P")], sacct=None)
    assert words(run)[NAMES[0]] == ("failed", "sub-01.h5: truncated")
    submissions.write(run, Submission(2, "slurm", [[NAMES[0]]], "site", "code", jobs={"8": 0}))
    assert words(run)[NAMES[0]] == ("pending", "job 8: Priority")
