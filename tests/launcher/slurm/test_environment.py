"""Which variables of a shell SLURM's commands and job scripts see."""

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepemotion.errors import UserError
from launcher.slurm import environment, queue
from launcher.slurm.cluster_profile import ClusterProfile
from launcher.slurm.partitions import read_site
from launcher.slurm.script import Script

FOREIGN = {
    **dict.fromkeys(("SQUEUE_PARTITION", "SQUEUE_ACCOUNT", "SQUEUE_NAMES", "SQUEUE_STATES", "SQUEUE_USERS"), "x"),
    **dict.fromkeys(("SBATCH_EXPORT", "SBATCH_PARTITION", "SBATCH_TIMELIMIT", "SBATCH_WAIT", "SBATCH_ARRAY_INX"), "x"),
    **dict.fromkeys(("SCANCEL_STATE", "SCONTROL_ALL", "SINFO_PARTITION", "SACCT_LOCAL", "SRUN_CONTAINER"), "x"),
    **dict.fromkeys(("SLURM_JOB_ID", "SLURM_TIME_FORMAT", "SLURM_EXPORT_ENV", "SBATCH_CLUSTERS"), "x"),
}
SITE = {"SLURM_CONF": "/etc/slurm.conf", "SLURM_CLUSTERS": "main", "SLURM_JWT": "token"}
PROFILE = ClusterProfile.model_validate({"time": 10, "cpus_per_node": 1})


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """Return a function that gives what each of SLURM's commands saw, with a shell full of variables around it."""
    tools = tmp_path / "bin"
    tools.mkdir()
    answers = {"sbatch": "echo Submitted batch job 5", "scontrol": "echo", "sinfo": "true"}
    for name in ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo"):
        program = f'#!/bin/sh\nenv > {tmp_path}/{name}.env\necho "$@" > {tmp_path}/{name}.words\n'
        (tools / name).write_text(program + answers.get(name, "true") + "\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    for name, value in {**FOREIGN, **SITE, "LOGNAME": "somebody", "USER": "somebody"}.items():
        monkeypatch.setenv(name, value)

    def of(name):
        lines = (tmp_path / f"{name}.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line), (tmp_path / f"{name}.words").read_text()

    return of


def test_all_commands_see_the_site_s_variables_alone(seen, tmp_path):
    queue.read_queue()
    queue.read_accounting(["5"], None)
    queue.cancel(["5"])
    read_site()
    Script("n", "true", PROFILE, tmp_path / "slurm").submit()
    for name in ("sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo"):
        variables, _ = seen(name)
        assert not FOREIGN.keys() & variables.keys(), name
        assert {key: variables.get(key) for key in SITE} == SITE, name


def test_jobs_are_asked_for_by_the_own_number(seen):
    queue.read_queue()
    assert f"--user={os.getuid()}" in seen("squeue")[1].split()


@pytest.mark.parametrize("clusters", ["a,b", "all"])
def test_several_clusters_at_once_are_rejected(monkeypatch, clusters):
    monkeypatch.setenv("SLURM_CLUSTERS", clusters)
    with pytest.raises(UserError, match="name one cluster"):
        queue.read_queue()


def test_a_script_drops_what_would_change_its_own_commands(tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, body in {"srun": "exit 143", "squeue": "echo RUNNING", "scontrol": "true"}.items():
        (tools / name).write_text(
            f'#!/bin/sh\nenv > {tmp_path}/{name}.env\necho "$@" > {tmp_path}/{name}.words\n{body}\n'
        )
        (tools / name).chmod(0o755)
    shell = {**FOREIGN, "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1", "PATH": f"{tools}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", Script("n", "true", PROFILE, None).text()], env=shell, check=False)
    assert (tmp_path / "scontrol.words").read_text() == "requeue 7\n"
    for name in ("srun", "squeue", "scontrol"):
        text = (tmp_path / f"{name}.env").read_text()
        assert "SQUEUE_" not in text
        assert "SCONTROL_" not in text
        assert "SLURM_EXPORT_ENV" not in text
        assert "SLURM_JOB_ID=7" in text
    assert "--export=ALL" in (tmp_path / "srun.words").read_text().split()


def test_further_steps_keep_their_job_s_variables():
    shell = {"SLURM_JOB_ID": "7", "SLURM_CPU_BIND": "x", "SLURM_EXPORT_ENV": "NONE", "SRUN_CONTAINER": "x", "HOME": "/"}
    assert environment.of_steps(shell) == {"SLURM_JOB_ID": "7", "HOME": "/"}


@given(st.dictionaries(st.from_regex(r"(SBATCH|SQUEUE|SLURM|PYTHON|SLURMS)_[A-Z]{1,9}", fullmatch=True), st.just("x")))
def test_variables_of_other_programs_pass(shell):
    passed = environment.of_commands(shell)
    assert {name for name in shell if name.startswith(("PYTHON", "SLURMS"))} <= passed.keys()
    assert not any(name.startswith(("SBATCH_", "SQUEUE_")) for name in passed)
