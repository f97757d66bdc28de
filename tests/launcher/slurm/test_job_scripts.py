"""The scripts that SLURM gets: the same by hand and from the launcher, and what they do when their command ends."""

import importlib.util
import os
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from deepemotion.errors import UserError
from launcher.slurm import pack_array
from launcher.slurm.cluster_profile import ClusterProfile, read
from launcher.slurm.exit_codes import MAX_RESTARTS_AFTER_KILL, ExitCode
from launcher.slurm.script import Script

ROOT = Path(__file__).resolve().parents[3]
KILLED = 128 + signal.SIGKILL


def by_hand():
    found = importlib.util.spec_from_file_location("sbatch_scripts", ROOT / "tools" / "sbatch_scripts.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module.scripts()


@pytest.mark.parametrize("name", ["train_ray", "train_array", "pack_array"])
def test_the_scripts_to_submit_by_hand_are_what_the_launcher_generates(name):
    assert (ROOT / "slurm" / f"{name}.sbatch").read_text() == by_hand()[name]
    assert {path.stem for path in (ROOT / "slurm").glob("*.sbatch")} == set(by_hand())


def test_dry_run_prints_the_script_for_submitting_by_hand(command, tiny_packed, tiny_labels, tmp_path):
    profile = tmp_path / "site.yaml"
    profile.write_text(yaml.safe_dump({"time": 720, "cpus_per_node": 8, "gpus_per_node": 1, "memory_gb": 32}))
    words = ["--all-subjects", "--config", "demo", "--data", tiny_packed, "--labels", tiny_labels, "--name", "r"]
    words += ["--runs", tmp_path, "--on", "slurm-array", "--cluster", profile, "--max-parallel", "2", "--dry-run"]
    # Without sinfo, as on a laptop; there may be one here that has no cluster to ask.
    done = command("deepemotion-launch", *words, env={"PATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "r").exists()
    table, _, script = done.stdout.partition("\n\n#!/bin/bash\n")
    assert table.endswith("4 trials")
    hand = (ROOT / "slurm" / "train_array.sbatch").read_text()

    def lines(text):
        return [line for line in text.splitlines() if line and line[:2] not in ("# ", "#!")]

    differences = set(lines(script)) ^ set(lines(hand))
    kinds = {line.split("=")[0].split(":")[0] for line in differences}
    expected = {"#SBATCH --array", "#SBATCH --job-name", "#SBATCH --output", "export PATH"}
    assert {kind for kind in kinds if not kind.startswith("srun")} == expected
    assert "#SBATCH --array=0-3%2" in script
    assert f"deepemotion-launch work {tmp_path.resolve()}/r --submission 1" in script


def test_every_key_of_the_example_profile_reaches_the_script():
    text = Script("n", "true", read("example"), Path("/runs/r/slurm"), after=["12", "13"]).text()
    for line in (
        *("--partition=gpu", "--account=my-project", "--qos=normal", "--constraint=ib", "--gpus-per-node=a100:4"),
        *("--time=720", "--nodes=2", "--cpus-per-task=32", "--mem=131072M", "--mail-user=me@example.org"),
        *("--mail-type=END,FAIL", "--signal=USR2@300", "--reservation=course", "--exclusive", "--requeue"),
        *("--no-kill", "--dependency=afterok:12:13", "--output=/runs/r/slurm/%j.log", "--open-mode=append"),
    ):
        assert f"#SBATCH {line}" in text.splitlines()
    assert "wckey" not in text
    setup = text.partition("# setup")[2].partition("# command")[0].split("\n")
    assert setup[1].startswith("export PATH=")
    assert setup[2:4] == ["export HDF5_USE_FILE_LOCKING=FALSE", "module load python/3.11"]


def run_script(tmp_path, code, restarts=0, command="true", state="COMPLETING", **environment):
    """Run a script with an srun that ends with `code` and a scontrol that writes down what it is told.

    `state` is what squeue says of the job by then.
    """
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    programs = {"srun": f"exit {int(code)}", "scontrol": f'echo "$@" >> {tmp_path}/said', "squeue": f"echo {state}"}
    for name, body in programs.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    (tmp_path / "said").write_text("")
    profile = ClusterProfile.model_validate({"time": 10, "cpus_per_node": 1})
    env = {"PATH": f"{tools}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1", **environment}
    if restarts:
        env["SLURM_RESTART_COUNT"] = str(restarts)
    text = Script("n", command, profile, tmp_path).text()
    done = subprocess.run(["bash", "-c", text], env=env, check=False)
    return done.returncode, (tmp_path / "said").read_text()


@pytest.mark.parametrize(
    ("code", "restarts", "requeued"),
    [
        (ExitCode.DONE, 0, False),
        (ExitCode.FAILED, 0, False),
        (ExitCode.MISUSE, 0, False),
        (ExitCode.REQUEUE, 0, True),
        (ExitCode.REQUEUE, 50, True),
        (KILLED, 0, True),
        (KILLED, MAX_RESTARTS_AFTER_KILL - 1, True),
        (KILLED, MAX_RESTARTS_AFTER_KILL, False),
        (ExitCode.TERMINATED, 0, False),
    ],
)
def test_a_job_is_requeued_at_its_time_limit_and_a_few_times_when_it_was_killed(tmp_path, code, restarts, requeued):
    assert run_script(tmp_path, code, restarts) == (code, "requeue 7\n" if requeued else "")


@pytest.mark.parametrize(("state", "requeued"), [("RUNNING", True), ("COMPLETING", False), ("CANCELLED", False)])
def test_a_job_that_preemption_leaves_time_to_end_is_requeued(tmp_path, state, requeued):
    """SLURM counts one that ends within its grace time as ended."""
    assert run_script(tmp_path, ExitCode.TERMINATED, state=state) == (
        ExitCode.TERMINATED,
        "requeue 7\n" if requeued else "",
    )


def test_the_last_task_of_an_array_requeues_itself_alone(tmp_path):
    """Its SLURM_JOB_ID is that of the array, which scontrol would take for all tasks."""
    _, said = run_script(tmp_path, ExitCode.REQUEUE, SLURM_JOB_ID="7", SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID="19")
    assert said == "requeue 7_19\n"


def test_what_sbatch_refuses_is_told_in_one_line(tmp_path, monkeypatch):
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: Batch job submission failed: No account' >&2\nexit 1\n"
    )
    (tools / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    script = Script("n", "true", ClusterProfile.model_validate({"time": 10, "cpus_per_node": 1}), tmp_path / "slurm")
    with pytest.raises(UserError, match=r"^sbatch rejects the job: Batch job submission failed: No account$"):
        script.submit()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="sbatch is not on this machine"):
        script.submit()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--all-subjects", "--on", "slurm"), "--on slurm: name the cluster with --cluster"),
        (("--all-subjects", "--after", "12"), "--after: would do nothing with --on local; add --on slurm"),
        (("--all-subjects", "--after", "12", "--cluster", "example"), "add --on slurm or slurm-array"),
        (("pack", "data", "--out", "packed", "--on", "slurm-array"), "--on slurm-array: name the cluster"),
    ],
)
def test_what_slurm_needs_is_asked_for_in_a_line(command, words, said):
    done = command("deepemotion-launch", *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def test_a_cluster_that_does_not_answer_leaves_no_folder_and_can_be_shown_scripts(
    command, tiny_packed, tiny_labels, tiny_dataset, tmp_path
):
    for name in ("sinfo", "scontrol"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'connect failure' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    profile = tmp_path / "site.yaml"
    profile.write_text(yaml.safe_dump({"time": 10, "cpus_per_node": 1, "memory_gb": 0.01}))
    train = ("--all-subjects", "--config", "demo", "--data", tiny_packed, "--labels", tiny_labels)
    train += ("--runs", tmp_path / "runs", "--on", "slurm", "--cluster", profile)
    pack = ("pack", tiny_dataset, "--out", tmp_path / "packed", "--on", "slurm-array", "--cluster", profile)
    environment = {**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    for words in (train, pack):
        refused = command("deepemotion-launch", *words, env=environment)
        assert refused.returncode == 2
        assert refused.stderr == "error: scontrol fails, so SLURM cannot be reached from here: connect failure\n"
        shown = command("deepemotion-launch", *words, "--dry-run", env=environment)
        assert shown.returncode == 0, shown.stderr
        assert "#SBATCH --time=10" in shown.stdout
        warning = shown.stderr.splitlines()[0]
        assert warning.startswith("warning: scontrol fails")
        assert warning.endswith("connect failure; the profile is not checked against the cluster")
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "packed").exists()


def test_a_node_with_too_little_memory_is_a_warning(command, tiny_packed, tiny_labels, tmp_path):
    profile = tmp_path / "site.yaml"
    profile.write_text(yaml.safe_dump({"time": 10, "cpus_per_node": 1, "memory_gb": 0.5}))
    words = ("--all-subjects", "--config", "demo", "--data", tiny_packed, "--labels", tiny_labels, "--runs", tmp_path)
    words += ("--on", "slurm", "--cluster", profile, "--dry-run")
    done = command("deepemotion-launch", *words, env={**os.environ, "PATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("warning: 4 of 4 trials need more memory than is available: an estimated")


def test_a_subject_s_label_is_no_command(tmp_path):
    profile = ClusterProfile.model_validate({"time": 10, "cpus_per_node": 1})
    script = pack_array.array_script("true", ["01", "pilot 2", "$(touch x)"], profile, tmp_path)
    (line,) = [line for line in script.text().splitlines() if line.startswith("subjects=")]
    said = subprocess.run(["bash", "-c", f"{line}; printf '%s|' \"${{subjects[@]}}\""], capture_output=True, text=True)
    assert said.stdout == "01|pilot 2|$(touch x)|"
