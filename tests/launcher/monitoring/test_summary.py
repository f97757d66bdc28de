"""What `status` shows: a summary, the trials that need attention, and every trial where it is asked for."""

import json

import pytest
from watched_run import NAMES, epochs

from launcher.monitoring import status
from launcher.monitoring.summary import Summary
from launcher.run.sessions import SessionFile

QUEUE = ["7|0|RUNNING|None|node1|0|0|", "7|1|PENDING|Resources||0|0|", "7|2|PENDING|Resources||0|0|"]


def half_trained(run, seconds=2.0):
    """Let the first trial train, with three of its five epochs behind it, two seconds each."""
    epochs(run, NAMES[0], 3, seconds)
    SessionFile(run.sessions, [NAMES[0]], "7", "7_0").beat([NAMES[0]])


def test_states_are_counted_with_why_trials_wait_and_the_time_that_is_left(run, site):
    site(squeue=QUEUE)
    half_trained(run)
    summary = Summary(status.read(run))
    first, header, *rows = summary.text.splitlines()
    # 4 s for two epochs, then 10 s for each of the others, one after the other.
    assert first == "0 of 3 trials done · 20 % · 0.5 epochs/s · about 0:24 left"
    assert header.split() == ["state", "trials", "why"]
    assert [row.split(maxsplit=2)[:2] for row in rows] == [["pending", "2"], ["running", "1"]]
    assert rows[0].endswith("Resources")
    assert summary.line.endswith(f"best validation accuracy 50.0 % ({NAMES[0]})")


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), -1.0, 0.0])
def test_times_of_epochs_that_are_impossible_are_as_good_as_none(run, site, seconds):
    site(squeue=QUEUE)
    half_trained(run, seconds)
    assert Summary(status.read(run)).text.startswith("0 of 3 trials done · 20 %\n")


def test_different_reasons_are_counted_and_the_rare_ones_summed_up(run, site):
    site(squeue=[f"7|{task}|PENDING|{why}||0|0|" for task, why in enumerate(("Resources", "Priority", "Nodes"))])
    assert Summary(status.read(run)).text.endswith("Resources (1); Priority (1); 1 other reasons")


def test_the_summary_lists_what_needs_attention_and_nothing_else(run, site, in_process):
    site(squeue=["7|0|RUNNING|None|node1|0|0|", "7|1|FAILED|None|node1|1|0|", "7|2|PENDING|Priority||0|0|"], sacct=None)
    half_trained(run)
    run.trial(NAMES[1]).write_failure("sub-02.h5: truncated", "7")
    run.trial(NAMES[1]).log("failed: sub-02.h5: truncated")
    code, out, err = in_process("deepemotion-launch", "status", run.path)
    assert code == 0
    assert err.startswith("at ")
    assert NAMES[0] not in out
    assert f"{NAMES[1]}: failed: sub-02.h5: truncated" in out
    assert "try: fix the cause above, then retry" in out
    assert "| 20" in out
    code, out, _ = in_process("deepemotion-launch", "status", run.path, "--all")
    assert [line.split()[0] for line in out.splitlines()[:4]] == ["trial", *NAMES]


def test_of_many_trials_that_need_attention_the_first_logs_are_printed(run, site, in_process, monkeypatch):
    site(squeue=[f"7|{task}|FAILED|None|node1|1|0|" for task in range(3)], sacct=None)
    monkeypatch.setattr("launcher.commands.status._MOST_LOGS", 2)
    for name in NAMES:
        run.trial(name).log("failed: Traceback")
        run.trial(name).write_failure("a bug", "7")
    _, out, _ = in_process("deepemotion-launch", "status", run.path)
    assert out.count("Traceback") == 2
    assert f"{NAMES[2]}: failed: a bug" in out
    assert out.endswith("logs of all 3 trials that need attention: add --all\n")
    _, out, _ = in_process("deepemotion-launch", "status", run.path, "--all")
    assert out.count("Traceback") == 3


def test_states_that_are_asked_for_are_the_only_ones_listed(run, site, in_process):
    site(squeue=QUEUE)
    half_trained(run)
    _, out, _ = in_process("deepemotion-launch", "status", run.path, "--state", "running,timed out")
    assert [line.split()[0] for line in out.splitlines()] == ["trial", NAMES[0]]
    code, out, err = in_process("deepemotion-launch", "status", run.path, "--state", "runing")
    assert (code, out) == (2, "")
    assert err.startswith("error: --state runing: 'runing' is no state; states are done, running, failed")


def test_json_has_the_summary_and_the_trials(run, site, in_process):
    site(squeue=QUEUE)
    half_trained(run)
    code, out, err = in_process("deepemotion-launch", "status", run.path, "--json")
    assert (code, err) == (0, "")
    content = json.loads(out)
    listed = content.pop("listed")
    assert content == {
        **{
            "run": str(run.path),
            "trials": 3,
            "states": {"running": 1, "pending": 2},
            "share_trained": pytest.approx(0.2),
        },
        **{"epochs_per_second": 0.5, "seconds_left": 24.0, "best": NAMES[0], "notes": []},
    }
    assert [one["trial"] for one in listed] == NAMES
    assert (listed[0]["epochs"], listed[0]["planned_epochs"], listed[0]["accuracy_validation"]) == (3, 5, 0.5)
    assert (listed[1]["job"], listed[1]["job_state"], listed[1]["accuracy_validation"]) == ("7_1", "PENDING", None)
    _, out, _ = in_process("deepemotion-launch", "status", run.path, "--json", "--state", "running")
    assert [one["trial"] for one in json.loads(out)["listed"]] == NAMES[:1]


def test_trials_that_were_replaced_are_no_work(run, site):
    site()
    run.trial(NAMES[0]).write_failure("truncated", "7")
    epochs(run, NAMES[1], 5)
    run.trial(NAMES[1]).result.write_text(json.dumps({"accuracy_validation": 0.5}))
    trials = status.read(run)
    states = {one.trial.name: one.state for one in trials}
    assert states[NAMES[0]] == "failed"
    assert Summary(trials).text.startswith("1 of 3 trials done · 33 %")
    replaced = [status.replace(one, state="replaced") if one.state == "failed" else one for one in trials]
    assert Summary(replaced).text.startswith("1 of 2 trials done · 50 %")
