"""What status says of trials, from the run's directory and from a squeue and sacct whose words are known."""

import json
import os

import pytest
import small_plan

from launcher.monitoring import status, watch
from launcher.run import sessions
from launcher.run.directory import RunDirectory
from launcher.run.sessions import SessionFile
from launcher.slurm import submissions, submit
from launcher.slurm.submissions import Submission
from launcher.tables.trials import trials_table

NAMES = ["sub-01_a", "sub-02_b", "pooled_c"]


def planned(name):
    return small_plan.planned(name, name.split("_")[0], protocol="random", train={"epochs": 5})


@pytest.fixture
def run(tmp_path):
    """A run of three trials, submitted as array tasks 0 to 2 of job 7."""
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.add_to_plan([planned(name) for name in NAMES])
    submissions.write(run, Submission(1, "slurm-array", [[name] for name in NAMES], "site", "code", jobs={"7": 0}))
    return run


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a function that makes squeue and sacct say lines; None takes the program away."""
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda name: str(tools / name) if (tools / name).exists() else None)

    def say(**programs):
        for name, lines in programs.items():
            if lines is None:
                (tools / name).unlink(missing_ok=True)
                continue
            (tools / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
            (tools / name).write_text(f"#!/bin/sh\necho called >> {tools}/{name}.calls\ncat {tools}/{name}.txt\n")
            (tools / name).chmod(0o755)
        return tools

    return say


def words(run):
    return {one.trial.name: (one.state, one.detail) for one in status.read(run)}


def epochs(run, name, count):
    row = {"accuracy/validation": 0.5}
    run.trial(name).write_epochs([{"epoch": epoch + 1, **row} for epoch in range(count)])


def test_pending_has_slurms_reason_and_running_its_host(run, site):
    site(
        squeue=[
            "7|0|RUNNING|None|node1|0|0|",
            "7|1|PENDING|Resources||0|0|",
            "7|2|PENDING|QOSMaxJobsPerUserLimit||0|0|",
        ]
    )
    record = SessionFile(run.sessions, [NAMES[0]], "7", "7_0")
    assert words(run)[NAMES[0]] == ("pending", "job 7_0 is at work on others")
    record.beat([NAMES[0]])
    shown = words(run)
    assert shown[NAMES[0]] == ("running", f"job 7_0 of {record.session.host}")
    assert shown[NAMES[1]] == ("pending", "job 7_1: Resources")
    assert shown[NAMES[2]] == ("pending", "job 7_2: QOSMaxJobsPerUserLimit")


@pytest.mark.parametrize(
    ("ended", "state", "said"),
    [("terminated", "preempted", ""), ("time limit", "requeued", "(time limit)"), (None, "requeued", "died")],
)
def test_a_job_that_waits_again_says_why(run, site, ended, state, said):
    site(squeue=["7|0|PENDING|BeginTime||0|2|"], sacct=None)
    record = SessionFile(run.sessions, [NAMES[0]], "7", "7_0")
    record.beat([NAMES[0]])
    if ended:
        record.end(ended)
    shown = words(run)[NAMES[0]]
    assert shown[0] == state
    assert "requeued 2 times" in shown[1]
    assert said in shown[1]


@pytest.mark.parametrize(
    ("slurms", "ours"),
    [
        *(("TIMEOUT", "timed out"), ("CANCELLED by 0", "cancelled"), ("NODE_FAIL", "node failed")),
        *(("FAILED", "stopped"), ("COMPLETED", "stopped")),
    ],
)
def test_an_ended_job_leaves_its_word_and_a_hint(run, site, slurms, ours):
    site(squeue=[], sacct=[f"7_0|{slurms}|3:0|node1|4000M|", "7_0.batch|FAILED|3:0|node1||100000K"])
    one = status.read(run)[0]
    assert one.state == ours
    assert "exit code 3:0" in one.detail
    assert "retry" in one.hint
    assert one.log == run.slurm / "7_0.log"


def test_out_of_memory_says_what_was_asked_and_used(run, site):
    site(squeue=[], sacct=["7_0|OUT_OF_MEMORY|0:125|node1|4000M|", "7_0.0|OUT_OF_MEMORY|0:125|node1||3.5G"])
    (run.slurm / "7_0.log").write_text("".join(f"line {i}\n" for i in range(50)))
    one = status.read(run)[0]
    assert one.state == "out of memory"
    assert "asked 4000M, used at most 3584M" in one.detail
    assert "memory_gb" in one.hint
    assert one.last_lines() == [f"line {i}" for i in range(30, 50)]


def test_without_accounting_the_queue_itself_remembers_for_a_while(run, site):
    site(squeue=["7|0|TIMEOUT|TimeLimit|node1|0|0|"], sacct=None)
    assert words(run)[NAMES[0]][0] == "timed out"
    site(squeue=[])
    shown = status.read(run)[0]
    assert shown.state == "stopped"
    assert "left the queue" in shown.hint


def test_a_torn_note_of_what_sacct_said_is_asked_for_again(run, site):
    site(squeue=[], sacct=["7_0|TIMEOUT|0:0|node1|4000M|"])
    (run.slurm / "sacct.json").write_text('{"7_0": {"job"')
    assert status.read(run)[0].state == "timed out"


def test_sacct_is_asked_at_most_once_a_minute(run, site):
    tools = site(squeue=[], sacct=["7_0|TIMEOUT|0:0|node1|4000M|"])
    for _ in range(5):
        status.read(run)
    assert (tools / "sacct.calls").read_text() == "called\n"
    cache = run.slurm / "sacct.json"
    os.utime(cache, (cache.stat().st_mtime - 61,) * 2)
    status.read(run)
    assert (tools / "sacct.calls").read_text() == "called\n" * 2


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
    assert words(run)[NAMES[0]] == ("pending", "job 7_0; SLURM is not here to ask")


def test_trials_that_nobody_was_asked_to_train(tmp_path, site):
    site(squeue=None)
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.add_to_plan([planned(name) for name in NAMES])
    assert {state for state, _ in words(run).values()} == {"planned"}


def test_nobody_has_to_do_anything_about_trials_whose_data_was_made_anew(run, site):
    site(squeue=["7|0|FAILED|None|node1|1|0|", "7|1|RUNNING|None|node1|0|0|", "7|2|FAILED|None|node1|1|0|"], sacct=None)
    epochs(run, NAMES[2], 5)
    run.trial(NAMES[2]).result.write_text("{}")
    run.trial(NAMES[0]).write_failure("sub-01.h5: truncated", "7")
    run.add_to_plan([planned(f"{name.split('_')[0]}_new") for name in NAMES])
    shown = {one.trial.name: one for one in status.read(run)}
    failed = shown[NAMES[0]]
    assert (failed.state, failed.detail, failed.wrong) == ("replaced", "by sub-01_new", False)
    assert failed.last_lines() == []
    # What is at work or was finished is still told.
    assert (shown[NAMES[1]].state, shown[NAMES[2]].state) == ("pending", "done")
    assert trials_table(run).set_index("trial")["state"].to_dict() == {
        **{NAMES[0]: "replaced", NAMES[1]: "replaced", NAMES[2]: "done"},
        **{"sub-01_new": "pending", "sub-02_new": "pending", "pooled_new": "pending"},
    }
    # The former data is back: its trials count again.
    run.add_to_plan([planned(NAMES[0])])
    shown = {one.trial.name: one for one in status.read(run)}
    assert (shown[NAMES[0]].state, shown["sub-01_new"].state) == ("failed", "replaced")


def test_an_array_in_parts_knows_the_job_of_each_trial():
    tasks = [[f"t{2 * i}", f"t{2 * i + 1}"] for i in range(12)]
    submission = Submission(1, "slurm-array", tasks, "site", "code", jobs={"7": 0, "8": 5, "9": 10})
    assert submission.job_of("t0") == "7_0"
    assert submission.job_of("t9") == "7_4"
    assert submission.job_of("t10") == "8_0"
    assert submission.job_of("t23") == "9_1"
    assert submission.job_of("other") is None
    assert Submission(1, "slurm", tasks[:1], "site", "code", jobs={"7": 0}).job_of("t1") == "7"


def test_a_session_that_was_killed_is_not_taken_for_running(run, site):
    site(squeue=["7|0|RUNNING|None|node1|0|0|"])
    record = SessionFile(run.sessions, [NAMES[0]], "7", "7_0")
    record.beat([NAMES[0]])
    path = run.sessions / "session-001.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "host": "elsewhere", "beat": content["beat"] - 600}))
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


def test_a_job_that_was_preempted_for_good_is_over(run, site):
    site(squeue=[], sacct=["7_0|PREEMPTED|0:15|node1|4000M|"])
    one = status.read(run)[0]
    assert (one.state, one.hint) == ("preempted", "retry")


def test_what_sacct_says_of_an_array_leaves_tasks_in_the_queue_alone(run, site):
    site(
        squeue=["7|1|PENDING|BeginTime||0|2|"],
        sacct=["7_0|TIMEOUT|0:0|node1|4000M|", "7_1|PENDING|0:0|None assigned|4000M|"],
    )
    shown = words(run)
    assert shown[NAMES[0]][0] == "timed out"
    assert shown[NAMES[1]] == ("requeued", "job 7_1: BeginTime, requeued 2 times (its node or process died)")


def test_trials_of_a_job_submitted_by_hand_are_with_slurm_once_it_has_begun(run, site):
    site(squeue=["9|0|RUNNING|None|node1|0|0|"])
    assert submit.queued_trials(run) == {}
    record = SessionFile(run.sessions, NAMES[:2], "9", "9_0")
    record.beat(NAMES[:1])
    assert submit.queued_trials(run) == dict.fromkeys(NAMES[:2], "9_0")
    site(squeue=["9|0|NODE_FAIL|None|node1|0|0|"])
    assert submit.queued_trials(run) == {}


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
