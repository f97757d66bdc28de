"""Launches on one machine that are disturbed: by broken data, kills, errors, each other, a full disk."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import pytest
from small_run import LAUNCH, QUICK, table

from deepemotion.training.trial_directory import TrialDirectory
from launcher.run.directory import RunDirectory

pytestmark = pytest.mark.slow


@pytest.fixture
def ray_home():
    """Return a folder for private Rays, so short that their sockets' paths are allowed."""
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as folder:
        yield Path(folder)


def processes_of(folder):
    """Return the processes whose command line names the folder of a private Ray."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(folder) in line:
                found.append(entry.name)
    return found


def test_one_broken_subject_leaves_the_others_finished(launch, command, tiny_packed, tmp_path):
    data = tmp_path / "packed"
    shutil.copytree(tiny_packed, data)
    broken = data / "sub-02.h5"
    broken.write_bytes(broken.read_bytes()[:5000])
    done = launch("--all-subjects", "--no-pooled", *QUICK, "--name", "r", data=data)
    assert done.returncode == 1, done.stderr
    trials = table(tmp_path / "runs" / "r").set_index("training_set")
    assert trials["state"].to_dict() == {"sub-01": "done", "sub-02": "failed", "sub-03": "done"}
    assert "sub-02.h5" in trials.loc["sub-02", "reason"]
    assert "2 done, 1 failed" in done.stderr
    assert any("failed sub-02" in line and "sub-02.h5" in line for line in done.stderr.splitlines())
    run = RunDirectory(tmp_path / "runs" / "r")
    log = run.trial(trials.loc["sub-02", "trial"]).log_file.read_text()
    assert "failed: " in log
    assert "Traceback" not in log
    shutil.copy(tiny_packed / "sub-02.h5", broken)
    repaired = launch("--all-subjects", "--no-pooled", *QUICK, "--name", "r", data=data)
    assert "1 trials to run, 2 already done" in repaired.stderr
    # Nothing is left to do, and no message says otherwise.
    status = command("deepemotion-launch", "status", run.path)
    assert "3 of 3 trials done · 100 %" in status.stdout
    assert re.search(r"^replaced +1$", status.stdout, re.MULTILINE)
    assert "try:" not in status.stdout
    assert "failed" not in command("deepemotion-launch", "results", run.path).stdout


def epochs_of(run):
    """Return how many epochs each trial that has started has finished."""
    return {path.parent.name: len(TrialDirectory(path.parent).read_epochs()) for path in run.glob("trials/*/log.txt")}


def has_advanced(run, before):
    return any(count >= before.get(name, 0) + 2 for name, count in epochs_of(run).items())


def test_a_launch_that_was_interrupted_terminated_and_killed_resumes_where_it_was(
    tiny_packed, tiny_labels, tmp_path, ray_home
):
    runs, epochs = tmp_path / "runs", 60
    words = [LAUNCH, "--subjects", "1,2", "--config", "demo", "--data", tiny_packed, "--labels", tiny_labels]
    words += ["--runs", runs, "--name", "r", "--set", f"train.epochs={epochs}", "--set", "data.drop_overlaps=false"]
    own = {"stderr": subprocess.PIPE, "text": True, "env": {**os.environ, "TMPDIR": str(ray_home)}}
    stopped = {}
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
        with subprocess.Popen(words, **own, start_new_session=True) as process:
            wait_for(lambda before=stopped: has_advanced(runs / "r", before), process)
            (folder,) = ray_home.glob("de-ray-*")
            # To the whole group, as a terminal sends them.
            os.killpg(process.pid, how)
            _, said = process.communicate(timeout=120)
        if how is signal.SIGKILL:
            assert process.returncode == -signal.SIGKILL
            wait_for(lambda folder=folder: not processes_of(folder) and not folder.exists(), None)
        else:
            assert process.returncode == 130, said
            assert "to resume:" in said
            assert not processes_of(folder)
            assert not folder.exists()
        before, stopped = stopped, epochs_of(runs / "r")
        assert any(before.get(name, 0) < count < epochs for name, count in stopped.items())
    again = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
    assert again.returncode == 0, again.stderr
    for path in runs.glob("r/trials/*"):
        assert [row["epoch"] for row in TrialDirectory(path).read_epochs()] == list(range(1, epochs + 1))
        if 0 < stopped.get(path.name, 0) < epochs:
            assert "resumed after epoch" in (path / "log.txt").read_text()


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        assert process is None or process.poll() is None, process.stderr.read()
        time.sleep(0.1)


def test_a_second_launch_into_a_run_at_work_is_refused(launch, tmp_path):
    run = RunDirectory(tmp_path / "runs" / "r")
    with run.locked():
        refused = launch("--all-subjects", *QUICK, "--name", "r")
    assert refused.returncode == 2
    assert "another launch is working on this run" in refused.stderr


def test_a_launch_survives_the_deaths_of_a_worker_and_of_ray_and_lets_nobody_else_in(
    tiny_packed, tiny_labels, tmp_path, ray_home
):
    runs = tmp_path / "runs"
    ray_home.chmod(0o755)
    words = [LAUNCH, "--subjects", "1", "--config", "demo", "--data", tiny_packed, "--labels", tiny_labels]
    words += ["--runs", runs, "--name", "r", "--set", "train.epochs=30", "--set", "data.drop_overlaps=false"]
    own = {"env": {**os.environ, "TMPDIR": str(ray_home)}, "umask": 0}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, **own) as process:
        wait_for(lambda: has_advanced(runs / "r", {}), process)
        assert not list(open_to_others([runs, *ray_home.glob("de-ray-*")]))
        (log,) = runs.glob("r/trials/*/log.txt")
        os.kill(newest_worker(log), signal.SIGKILL)
        wait_for(lambda: log.read_text().count("resumed after epoch") == 1, process)
        # Else it could be done before the raylet's death has any effect.
        os.kill(newest_worker(log), signal.SIGSTOP)
        (raylet,) = [one for one in psutil.Process(process.pid).children(recursive=True) if one.name() == "raylet"]
        raylet.kill()
        _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert log.read_text().count("resumed after epoch") == 2
    assert len(TrialDirectory(log.parent).read_epochs()) == 30
    (line,) = [line for line in said.splitlines() if "Ray" in line]
    assert line.startswith("Ray stopped working: raylet died (output of Ray: ")
    assert line.endswith("session-001.log); starting it again")


def newest_worker(log):
    """Return the process that trains a trial, from the trial's log."""
    return int(log.read_text().rpartition("pid ")[2].split()[0])


def open_to_others(folders):
    """Yield what a user of another group could read or write, were they to look for it from these folders on."""
    for folder in folders:
        mode = folder.stat().st_mode
        if mode & 0o007:
            yield folder
        # What is below a folder that others cannot enter is out of their reach.
        if folder.is_dir() and mode & 0o001:
            yield from open_to_others(folder.iterdir())


def test_a_trial_with_an_unexpected_error_is_tried_again_and_then_reported(launch, tmp_path):
    words = ["--subjects", "1,2", "--no-pooled", *QUICK, "--name", "r"]
    planned = launch(*words, "--plan-only")
    assert planned.returncode == 0, planned.stderr
    run = RunDirectory(tmp_path / "runs" / "r")
    broken, whole = (run.trial(trial.name) for trial in run.read_plan())
    # A folder in the place of an event file cannot be removed as a file.
    (broken.path / "events.out.tfevents.1").mkdir(parents=True)
    done = launch(*words)
    assert done.returncode == 1, done.stderr
    assert f"failed {broken.path.name}: IsADirectoryError" in done.stderr
    assert broken.log_file.read_text().count("Traceback") == 4
    assert whole.result.is_file()


@pytest.mark.parametrize(("size", "code"), [("80k", 2), ("600k", 1)])
def test_a_full_disk_ends_a_launch_or_its_trials_in_one_line(command, tiny_packed, tiny_labels, tmp_path, size, code):
    """The smaller disk has no room for the run itself, the larger one none for checkpoints."""
    runs = tmp_path / "small"
    runs.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", runs], check=False)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        where = ["--config", "demo", "--data", tiny_packed, "--labels", tiny_labels, "--runs", runs, "--name", "r"]
        done = command("deepemotion-launch", "--subjects", "1,2", "--no-pooled", *QUICK, *where)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        reasons = [line for line in done.stderr.splitlines() if "No space left" in line or "the disk is full" in line]
        assert len(reasons) == (1 if code == 2 else 2)
    finally:
        subprocess.run(["umount", runs], check=True)
