"""What status says of trials' jobs, from a squeue and sacct whose words are known."""

import json
import os

import pytest
from watched_run import NAMES, words

from deepemotion.errors import UserError
from launcher.monitoring import status
from launcher.run.sessions import SessionFile
from launcher.slurm import queue, submissions, submit
from launcher.slurm.submissions import Submission


def test_pending_has_slurms_reason_and_running_its_host(run, site):
    site(
        squeue=[
            "7|0|RUNNING|None|node1|0|0|",
            "7|1|PENDING|Resources||0|0|",
            "7|2|PENDING|QOSMaxJobsPerUserLimit||0|0|",
        ]
    )
    record = SessionFile(run.sessions, [NAMES[0]], "7", "7_0")
    assert words(run)[NAMES[0]] == ("running", "job 7_0: starting")
    record.beat(["another"])
    assert words(run)[NAMES[0]] == ("pending", "job 7_0 is training other trials")
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
    assert "requested 4000M, used at most 3584M" in one.detail
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


def test_an_array_in_parts_knows_the_job_of_each_trial():
    tasks = [[f"t{2 * i}", f"t{2 * i + 1}"] for i in range(12)]
    submission = Submission(1, "slurm-array", tasks, "site", "code", jobs={"7": 0, "8": 5, "9": 10})
    assert submission.job_of("t0") == "7_0"
    assert submission.job_of("t9") == "7_4"
    assert submission.job_of("t10") == "8_0"
    assert submission.job_of("t23") == "9_1"
    assert submission.job_of("other") is None
    assert Submission(1, "slurm", tasks[:1], "site", "code", jobs={"7": 0}).job_of("t1") == "7"


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


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_node_whose_clock_is_wrong_is_still_at_work(run, site, minutes):
    site(squeue=["7|0|RUNNING|None|node1|0|0|"])
    SessionFile(run.sessions, [NAMES[0]], "7", "7_0").beat([NAMES[0]])
    path = run.sessions / "session-001.json"
    content = json.loads(path.read_text())
    times = {"beat": content["beat"] + 60 * minutes, "started": content["started"] + 60 * minutes}
    path.write_text(json.dumps({**content, **times, "host": "node1"}))
    assert words(run)[NAMES[0]] == ("running", "job 7_0 of node1")
    os.utime(path, (path.stat().st_mtime - 600,) * 2)
    assert words(run)[NAMES[0]] == ("running", "job 7_0: starting")


def test_the_last_submission_of_a_trial_counts_whatever_the_clocks_say(run, site):
    SessionFile(run.sessions, [NAMES[0]], "7", "7_0").end("terminated")
    later = Submission(2, "slurm-array", [[NAMES[0]]], "site", "code", jobs={"8": 0}, submitted=0.0)
    submissions.write(run, later)
    site(squeue=["8|0|PENDING|Priority||0|0|"])
    assert words(run)[NAMES[0]] == ("pending", "job 8_0: Priority")


def test_status_is_shown_where_nothing_can_be_written(run, site, monkeypatch):
    def full(target, text):
        raise UserError(f"{target}: cannot write: No space left on device")

    monkeypatch.setattr(queue, "write_text", full)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", lambda **_: (_ for _ in ()).throw(OSError("read-only")))
    site(squeue=[], sacct=["7_0|TIMEOUT|0:0|node1|4000M|"])
    assert words(run)[NAMES[0]][0] == "timed out"


def test_lines_that_a_site_adds_are_passed_over(run, site):
    site(squeue=["Welcome|to|the|cluster", "CLUSTER: main", "7|0|PENDING|Priority||0|0|a|b|"], sacct=["hello"])
    assert words(run)[NAMES[0]] == ("pending", "job 7_0: Priority")
