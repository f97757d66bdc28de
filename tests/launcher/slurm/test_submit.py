"""Submitting arrays to an sbatch whose answers are known, and sharing a plan out between tasks submitted by hand."""

import dataclasses
import os

import pytest
from small_plan import planned

from deepemotion.errors import UserError
from launcher.run.directory import RunDirectory
from launcher.slurm import allocation, submissions, submit
from launcher.slurm.cluster_profile import ClusterProfile

NAMES = [f"sub-{number:02d}_a" for number in range(1, 8)]


@pytest.fixture
def run(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.add_to_plan([planned(name, name) for name in NAMES])
    return run


def test_where_a_further_array_is_refused_the_first_ones_go_on_and_it_is_said(run, tmp_path, monkeypatch):
    tools = tmp_path / "bin"
    tools.mkdir()
    count = tmp_path / "count"
    programs = {
        "sbatch": f"echo x >> {count}; [ $(wc -l < {count}) -gt 2 ] && {{ echo 'sbatch: error: limit' >&2; exit 1; }};"
        f" echo Submitted batch job 4$(wc -l < {count})",
        "squeue": "true",
    }
    for name, body in programs.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    profile = ClusterProfile.model_validate({"time": 10, "cpus_per_node": 1})
    options = submit.Options(array=True, cluster="site")
    with pytest.raises(UserError, match=r"the first 6 tasks are submitted \(job 41, job 42\); .*limit; retry"):
        submit.submit(run, run.read_plan(), options, submit.Target(profile, 3))
    (record,) = submissions.read(run)
    assert record.jobs == {"41": 0, "42": 3}
    assert record.tasks == [[name] for name in NAMES[:6]]
    assert record.job_of(NAMES[6]) is None


def test_nothing_is_submitted_into_a_run_that_a_launch_elsewhere_holds(run):
    profile = ClusterProfile.model_validate({"time": 10, "cpus_per_node": 1})
    with run.locked(), pytest.raises(UserError, match="another launch is working on this run"):
        submit.submit(run, run.read_plan(), submit.Options(array=True, cluster="site"), submit.Target(profile, 3))
    assert not submissions.read(run)


def test_a_launch_here_beside_queued_jobs_of_other_trials_is_refused(run, command, tiny_packed, tiny_labels, tmp_path):
    submissions.write(run, submissions.Submission(1, "slurm-array", [[NAMES[0]]], "site", "code", jobs={"7": 0}))
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "squeue").write_text("#!/bin/sh\necho '7|0|PENDING|Priority||0|0|'\n")
    (tools / "squeue").chmod(0o755)
    before = run.plan_file.read_bytes()
    words = ["--all-subjects", "--config", "demo", "--data", tiny_packed, "--labels", tiny_labels]
    words += ["--runs", run.path.parent, "--name", run.path.name]
    done = command("deepemotion-launch", *words, env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"})
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert (
        "1 trials are queued or running in SLURM; wait until they finish, or cancel them: deepemotion-launch cancel"
        in done.stderr
    )
    assert run.plan_file.read_bytes() == before


SOURCES = ["deepemotion/subject_file/kernels.c", "deepemotion/models/cnn3d.py", "launcher/session/session.py"]


@pytest.mark.parametrize("name", SOURCES)
def test_a_change_of_any_source_is_a_change_of_the_code(tmp_path, name):
    (tmp_path / "launcher").mkdir()
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("one")
    before = submissions.code_checksum(tmp_path)
    (tmp_path / name).write_text("other")
    assert submissions.code_checksum(tmp_path) != before


def test_a_plan_s_row_is_written_anew_where_it_changed(run):
    again = [dataclasses.replace(trial, data="other") for trial in run.read_plan()]
    run.add_to_plan(again)
    assert run.read_plan() == again


@pytest.mark.parametrize("indices", [(3, 7, 2), (3, 3, 1), (1, 4, 4)])
def test_an_array_with_gaps_is_refused(monkeypatch, indices):
    first, last, count = map(str, indices)
    words = {"JOB_ID": "5", "ARRAY_JOB_ID": "5", "ARRAY_TASK_ID": last, "ARRAY_TASK_MIN": first}
    for name, value in {**words, "ARRAY_TASK_MAX": last, "ARRAY_TASK_COUNT": count}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    with pytest.raises(UserError, match="needs all indices, such as --array=0-19"):
        allocation.current()
