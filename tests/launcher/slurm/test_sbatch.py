"""Submitting to sbatches that fail, time out or print something else than SLURM's own."""

import json
import os
import subprocess

import pytest
from small_plan import planned

from deepemotion.errors import UserError
from launcher.monitoring import cancel_retry, status
from launcher.run.directory import RunDirectory
from launcher.slurm import job, launch_after, pack_array, queue, sbatch, submissions, submit
from launcher.slurm.allocation import Allocation
from launcher.slurm.cluster_profile import ClusterProfile
from launcher.slurm.sbatch import parse_job_id
from launcher.slurm.script import Script

PROFILE = ClusterProfile.model_validate({"time": 10, "cpus_per_node": 1})
OPTIONS = submit.Options(array=True, cluster="site")
TIMED_OUT = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
# What squeue says of a job of the name in a script that sbatch was given.
QUEUED = "sed -n 's/^#SBATCH --job-name=/9|0|PENDING|None||0|0|/p' \"$1\" | sed 's/$/|/'"


@pytest.fixture
def run(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.add_to_plan([planned(name, name) for name in ("sub-01_a", "sub-02_a")])
    return run


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a function that puts programs on PATH; squeue shows what is in the file `queue`."""
    monkeypatch.setattr(sbatch, "_LOOK_AGAIN_S", (0.0, 0.0))
    tools = tmp_path / "bin"
    tools.mkdir()
    (tmp_path / "queue").touch()
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")

    def put(**programs):
        for name, body in {"squeue": f"cat {tmp_path}/queue", **programs}.items():
            (tools / name).write_text(f"#!/bin/sh\n{body}\n")
            (tools / name).chmod(0o755)

    return put


def submitted(run, trials=None):
    return submit.submit(run, trials or run.read_plan(), OPTIONS, submit.Target(PROFILE, 10))


@pytest.mark.parametrize(
    ("text", "job"),
    [
        ("Submitted batch job 12\n", "12"),
        ("Submitted batch job 12 on cluster main\n", "12"),
        ("12\n", "12"),
        ("12;main\n", "12"),
        ("Welcome to the site, user 7\nYour balance: 100 hours\n12\n", "12"),
        ("job 3 of your group runs\nSubmitted batch job 12\nthis will cost 4 units\n", "12"),
        ("Your job 12 has been queued\n", "12"),
        ("JobID: 12\n", "12"),
        ("", None),
        ("ok\n", None),
        ("you have 3 jobs\n", None),
        ("12\n13\n", None),
    ],
)
def test_job_ids_are_read_from_what_sites_print(text, job):
    assert parse_job_id(text) == job


def test_a_job_that_the_controller_took_though_sbatch_failed_is_adopted(run, site, tmp_path, capsys):
    site(sbatch=f"{QUEUED} > {tmp_path}/queue; echo '{TIMED_OUT}' >&2; exit 1")
    assert submitted(run).jobs == {"9": 0}
    assert "Socket timed out" in capsys.readouterr().err
    (record,) = submissions.read(run)
    assert record.jobs == {"9": 0}


def test_a_job_that_appears_later_is_known_by_its_name_and_can_be_cancelled(run, site, tmp_path):
    site(
        sbatch=f"{QUEUED} > {tmp_path}/later; echo '{TIMED_OUT}' >&2; exit 1",
        scancel=f'echo "$@" > {tmp_path}/cancelled',
    )
    with pytest.raises(UserError, match=r"Socket timed out.*scancel --name=de-run-1-"):
        submitted(run)
    (record,) = submissions.read(run)
    assert (record.number, record.jobs) == (1, {})
    assert submit.queued_trials(run) == {}
    (tmp_path / "later").rename(tmp_path / "queue")
    assert submit.queued_trials(run) == {"sub-01_a": "9_0"}
    assert status.read(run)[0].state == "pending"
    assert cancel_retry.cancel(run) == ["job 9"]
    assert (tmp_path / "cancelled").read_text() == "9\n"


def test_a_number_is_never_used_twice(run, site):
    site(sbatch=f"echo '{TIMED_OUT}' >&2; exit 1")
    with pytest.raises(UserError):
        submitted(run)
    site(sbatch="echo 'sbatch: error: Batch job submission failed: Invalid account' >&2; exit 1")
    with pytest.raises(UserError, match=r"^sbatch rejects the job: Batch job submission failed: Invalid account$"):
        submitted(run)
    site(sbatch="echo Submitted batch job 12")
    assert submitted(run).number == 3
    assert [record.number for record in submissions.read(run)] == [1, 3]
    with pytest.raises(UserError, match="no such submission"):
        submissions.read_one(run, 2)


def test_an_answer_that_cannot_be_read_is_one_line_and_the_record_stays(run, site):
    site(sbatch="echo Thank you; echo Come again")
    with pytest.raises(UserError) as caught:
        submitted(run)
    assert "no job id that can be read (Thank you Come again)" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(submissions.read(run)) == 1


def test_a_job_of_another_run_of_that_name_is_not_adopted(run, site, tmp_path):
    (tmp_path / "queue").write_text("9|0|PENDING|None||0|0|de-run-1-abcdef|\n")
    site(sbatch=f"echo '{TIMED_OUT}' >&2; exit 1")
    with pytest.raises(UserError):
        submitted(run)
    assert submit.queued_trials(run) == {}


def test_a_job_writes_its_id_into_a_submission_that_does_not_know_it(run, site):
    site(sbatch=f"echo '{TIMED_OUT}' >&2; exit 1")
    with pytest.raises(UserError):
        submitted(run)
    (record,) = submissions.read(run)
    record.code = submissions.code_checksum()
    submissions.write(run, record)
    granted = Allocation("9_1", "9", 1, 2, 0, None, "node1", ())
    assert [trial.name for trial in job._share(run, granted, 1, 0)] == ["sub-02_a"]
    assert submissions.read_one(run, 1).jobs == {"9": 0}


@pytest.mark.parametrize("name", ["50%A run", "it's", 'a"b', "ü $HOME", "a#b,c"])
def test_names_and_paths_reach_sbatch_as_they_are(site, tmp_path, name):
    site(sbatch=f'cp "$1" {tmp_path}/script; echo 12')
    folder = tmp_path / name
    assert Script(f"de-{name}", "true", PROFILE, folder, array="0-1").submit() == "12"
    lines = (tmp_path / "script").read_text().splitlines()
    (output,) = [line.removeprefix("#SBATCH ") for line in lines if "--output" in line]
    words = subprocess.run(["bash", "-c", f"printf %s {output}"], capture_output=True, text=True, check=True).stdout
    assert words == f"--output={str(folder).replace('%', '%%')}/%A_%a.log"
    (job_name,) = [line for line in lines if "--job-name" in line]
    assert not set(job_name.partition("=")[2]) & set(" %'\"$#,")
    assert (folder / "12_submission.sh").is_file()


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x1bb", "a\\b"])
def test_names_that_would_break_a_script_are_rejected_before_anything_is_submitted(tmp_path, name):
    with pytest.raises(UserError) as caught:
        submit.check_names(RunDirectory(tmp_path / name))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("extra", "expected", "unexpected"),
    [
        ({"mem-per-cpu": "1G"}, ["--mem-per-cpu=1024M"], ["--mem=", "--mem-per-cpu=1G"]),
        ({"gres": "gpu:1"}, ["--mem=2048M"], ["--gres"]),
        ({"gres": "gpu:a100:2,scratch:10", "exclusive": True}, ["--gres=scratch:10"], ["gpu", "--exclusive"]),
        ({"mem-per-gpu": "8G", "gpus-per-task": 1}, ["--mem=2048M"], ["gpu"]),
        ({"reservation": "course"}, ["--mem=2048M", "--reservation=course"], []),
    ],
)
def test_packing_requests_what_it_needs_as_the_site_counts_it(tmp_path, extra, expected, unexpected):
    profile = ClusterProfile.model_validate({"time": 10, "cpus_per_node": 8, "extra": extra}).reduced(2, 2.0)
    text = pack_array.array_script("deepemotion pack", ["01"], profile, tmp_path / "slurm").text()
    directives = [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH")]
    assert set(expected) <= set(directives)
    assert not [line for line in directives for word in unexpected if word in line]


@pytest.mark.parametrize(
    ("queue", "accounting", "outcome"),
    [
        ("12|N/A|PENDING|None||0|0|x|", "", None),
        ("12|0|RUNNING|None||0|0|x|\n12|1|COMPLETED|None||0|0|x|", "", None),
        ("12|N/A|FAILED|None||256|0|x|", "", "job 12 has ended with FAILED"),
        (
            "12|0|COMPLETED|None||0|0|x|",
            "12_0|COMPLETED|0:0|n|1M|\n12_1|TIMEOUT|0:0|n|1M|",
            "12_1 has ended with TIMEOUT",
        ),
        ("", "12|CANCELLED by 7|0:0|n|1M|", "CANCELLED"),
        ("", "12|COMPLETED|0:0|n|1M|", None),
        ("", "", "SLURM knows no such job"),
    ],
)
def test_a_launch_after_jobs_that_failed_or_never_were_is_rejected(
    run, site, tmp_path, monkeypatch, queue, accounting, outcome
):
    site(
        sbatch="echo Submitted batch job 20",
        squeue=f"printf '%s\\n' '{queue}'"
        if queue
        else "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1",
        sacct=f"printf '%s\\n' '{accounting}'",
    )
    profile = tmp_path / "site.yaml"
    profile.write_text("time: 10\ncpus_per_node: 1\n")
    monkeypatch.setattr("sys.argv", ["deepemotion-launch", "--after", "12", "--all-subjects"])
    if outcome is None:
        assert launch_after.submit(run, "12", str(profile)) == 0
        script = (run.slurm / "20_submission.sh").read_text()
        assert ("--dependency=afterok:12" in script) == ("PENDING" in queue or "RUNNING" in queue)
    else:
        with pytest.raises(UserError, match=outcome):
            launch_after.submit(run, "12", str(profile))


def test_the_run_s_records_of_earlier_versions_adopt_nothing(run, tmp_path, site):
    submissions.write(run, submissions.Submission(1, "slurm-array", [["sub-01_a"]], "site", "code"))
    path = run.slurm / "submission-001.json"
    content = json.loads(path.read_text())
    del content["tag"]
    path.write_text(json.dumps(content))
    (tmp_path / "queue").write_text("9|0|PENDING|None||0|0|de-run-1-|\n")
    site()
    assert submit.queued_trials(run) == {}


def test_an_own_number_without_a_name_is_no_obstacle(run, site, monkeypatch):
    own, other = 2**31 - 7, 2**31 - 8
    rows = f"{own}|7|0|PENDING|None||0|0|x|\\n{other}|8|0|PENDING|None||0|0|x|\\n"
    rejected = f"*--user={own}*) echo 'squeue: error: Invalid user: {own}' >&2; exit 1;;"
    site(squeue=f"case \"$*\" in {rejected} esac; printf '{rows}'")
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: own)
    submissions.write(run, submissions.Submission(1, "slurm-array", [["sub-01_a"]], "site", "code", jobs={"7": 0}))
    assert submit.queued_trials(run) == {"sub-01_a": "7_0"}
    assert queue.read_queue().keys() == {"7_0"}


def test_status_shows_jobs_of_somebody_else_s_run(run, site, monkeypatch):
    owner = os.getuid()
    site(squeue=f"case \"$*\" in *--user={owner}*) echo '7|0|PENDING|Priority||0|0|x|';; esac")
    submissions.write(run, submissions.Submission(1, "slurm-array", [["sub-01_a"]], "site", "code", jobs={"7": 0}))
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert status.read(run)[0].detail == "job 7_0: Priority"
