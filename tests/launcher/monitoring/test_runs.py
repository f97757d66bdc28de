"""The list of the runs in a folder."""

import json
import os

import finished_run
import pytest
from watched_run import planned as planned_trial

from launcher.monitoring import runs
from launcher.run.directory import RunDirectory
from launcher.run.sessions import SessionFile


def launched(run, when):
    run.add_provenance({"started": when})
    return run


@pytest.fixture
def folder(tmp_path, site):
    """A folder with a run of each state that needs no SLURM, and something that is no run."""
    site()
    folder = tmp_path / "runs"
    (folder / "notes").mkdir(parents=True)
    trials = [finished_run.planned("one", "01"), finished_run.planned("two", "02", model={"name": "linear"})]
    done = finished_run.make(folder / "done", trials)
    finished_run.finish(done, trials[1], accuracy_validation=0.75)
    launched(done, "2026-11-28T08:00:00+00:00")
    for name, hour in (("running", 9), ("failed", 7), ("stopped", 6), ("planned", 5), ("broken", 10)):
        run = RunDirectory(folder / name)
        run.path.mkdir()
        run.add_to_plan([planned_trial("sub-01_a"), planned_trial("sub-02_b")])
        launched(run, f"2026-11-28T{hour:02d}:00:00+00:00")
    SessionFile(folder / "running" / "sessions", ["sub-01_a"], None, None).beat(["sub-01_a"])
    RunDirectory(folder / "failed").trial("sub-01_a").write_failure("a bug", "session-001")
    RunDirectory(folder / "stopped").trial("sub-01_a").log("started")
    text = (folder / "broken" / "plan.tsv").read_text()
    (folder / "broken" / "plan.tsv").write_text(text[: len(text) // 2])
    return folder


def test_runs_are_listed_by_their_last_launch_with_state_content_and_best(folder, in_process):
    code, out, err = in_process("deepemotion-launch", "runs", folder)
    assert (code, err) == (0, "")
    header, broken, running, done, *rest = out.splitlines()
    assert header.split()[:6] == ["run", "state", "done", "protocol", "model", "subjects"]
    assert broken.split()[:2] == ["broken", "damaged"]
    assert "plan.tsv: not a plan of this version" in broken
    assert running.split()[:3] == ["running", "running", "0/2"]
    assert done.split()[:6] == ["done", "done", "2/2", "random", "cnn3d,", "linear"]
    assert done.endswith("75.0 %  50.0 %        two")
    assert [line.split()[1] for line in rest] == ["failed", "stopped", "planned"]


def test_json_has_the_same_with_every_number(folder, in_process):
    code, out, err = in_process("deepemotion-launch", "runs", folder, "--json")
    assert (code, err) == (0, "")
    listed = {one["run"]: one for one in json.loads(out)}
    assert listed["done"] == {
        **{"run": "done", "state": "done", "problem": None, "launched": "2026-11-28T08:00:00+00:00", "trials": 2},
        **{"states": {"done": 2}, "protocols": ["random"], "models": ["cnn3d", "linear"], "subjects": ["01", "02"]},
        "best": {
            **{"trial": "two", "training_set": "sub-02", "condition": "lr-0.001", "protocol": "random"},
            **{"accuracy_validation": 0.75, "label_only_accuracy": 0.5},
        },
    }
    assert listed["planned"]["best"] is None
    assert listed["broken"]["problem"]


def test_a_run_whose_result_is_damaged_is_one_line_and_the_others_stay(folder, in_process):
    RunDirectory(folder / "done").trial("one").result.write_text('{"epochs": 3}')
    _, out, _ = in_process("deepemotion-launch", "runs", folder)
    (line,) = [line for line in out.splitlines() if line.startswith("done ")]
    assert line.split()[1] == "damaged"
    assert "result.json: damaged (no accuracy)" in line
    assert len(out.splitlines()) == 7


def test_a_run_that_waits_in_slurm_is_pending_and_slurm_is_asked_once(run, site):
    tools = site(squeue=["7|0|PENDING|Priority||0|0|"])
    other = RunDirectory(run.path.parent / "other")
    other.slurm.mkdir(parents=True)
    other.add_to_plan([planned_trial("sub-01_a")])
    found = runs.summarise(runs.find(run.path.parent))
    assert {one.name: one.state for one in found} == {"run": "pending", "other": "planned"}
    assert (tools / "squeue.calls").read_text() == "called\n"


def test_a_run_without_a_record_of_its_launches_has_the_time_of_its_plan(run, site):
    site()
    os.utime(run.plan_file, (1e9, 1e9))
    (one,) = runs.summarise(runs.find(run.path))
    assert one.launched.timestamp() == 1e9


def test_a_folder_without_runs_is_bad_input(in_process, tmp_path):
    for folder, said in ((tmp_path, "no runs here"), (tmp_path / "nope", "no such folder")):
        code, out, err = in_process("deepemotion-launch", "runs", folder, "--json")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert said in err
