"""The demo's 19 + 1 trials on a real SLURM: by Ray over the nodes and by a job array, undisturbed."""

import shutil
import signal
import subprocess

import pytest
from study import (
    HALF,
    LAUNCH,
    PROGRAMS,
    assert_devices_were_never_shared,
    assert_equal_results,
    assert_nothing_stayed,
    wait_for,
)

pytestmark = pytest.mark.slow

QUICK = 6


@pytest.fixture(scope="session")
def local(study):
    """The same trials on this machine: what every run on the cluster has to give."""
    words = ["--all-subjects", *study.words("local", QUICK, "--on", "local")]
    done = subprocess.run([LAUNCH, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return study.run("local")


def test_an_array_gives_the_results_of_one_machine(study, local):
    # A GPU a task, so that tasks share nodes.
    words = study.by_array("array", 3)
    done = study.launch("array", QUICK, *words, "--follow")
    assert done.returncode == 0, (done.stderr, study.logs("array"))
    assert "20 done, 0 failed" in done.stderr
    _assert_whole(study, "array", local)
    again = study.launch("array", QUICK, *words, "--follow")
    assert again.returncode == 0, again.stderr
    assert "submitted" not in again.stderr


def test_ray_gives_the_results_of_one_machine_while_following_is_left_and_taken_up_again(study, local):
    words = ["--on", "slurm", "--cluster", study.profile("ray"), "--follow"]
    launch = [LAUNCH, "--all-subjects", *study.words("ray", QUICK, *words)]
    with study.cluster.popen(*launch, stderr=subprocess.PIPE, text=True) as process:
        study.wait_for_epochs("ray", 1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "the jobs go on" in said
    assert study.queue("%i")
    watched = study.ask("status", "ray", "--follow")
    assert watched.returncode == 0, watched.stderr
    assert watched.stdout.count(" done ") == 20
    # The job itself tidies up after its last trial.
    _assert_whole(study, "ray", local)
    assert "trials to run" in study.ask("logs", "ray").stdout
    assert "done: validation accuracy" in study.ask("logs", "ray", "sub-02").stdout
    assert study.ask("logs", "ray", "sub-21").returncode == 2
    again = study.launch("ray", QUICK, *words)
    assert again.returncode == 0, again.stderr
    assert "submitted" not in again.stderr


def test_two_launches_at_once_on_the_same_nodes(study, local):
    for name in ("two-a", "two-b"):
        study.submit(name, QUICK, *study.by_ray(name))
    wait_for(lambda: study.queue("%T").split().count("RUNNING") == 2, "both to run")
    for name in ("two-a", "two-b"):
        study.wait_until_done(name)
        assert_equal_results(study.run(name), local)
    assert_nothing_stayed(study.cluster)


def test_what_the_site_does_not_have_is_refused(study):
    for keys, reason in (({"partition": "gpus"}, "gpus"), ({"gpus_per_node": 3}, "GPU"), ({"nodes": 9}, "nodes")):
        profile = study.profile("wrong", **keys)
        refused = study.launch("refused", QUICK, "--on", "slurm", "--cluster", profile, "--detach")
        assert refused.returncode == 2, refused.stderr
        assert reason in refused.stderr.splitlines()[-1]
        assert not study.queue("%i")
        assert not list(study.run("refused").slurm.glob("submission-*"))


def test_scripts_submitted_by_hand(study, local):
    planned = study.launch("hand", QUICK, "--plan-only")
    assert planned.returncode == 0, planned.stderr
    scripts = PROGRAMS.parents[1] / "slurm"
    run = study.run("hand").path
    # The nodes have what the scripts ask for but the memory.
    small = ["--mem=2500", "--cpus-per-task=4", "--wait", f"--output={run}/%A_%a.log"]
    path = {"env": {"PATH": f"{PROGRAMS}:/usr/bin:/bin:/usr/sbin:/sbin"}}
    done = study.cluster.run("sbatch", *small, "--array=0-3", scripts / "train_array.sbatch", run, timeout=900, **path)
    assert done.returncode == 0, (done.stderr, [log.read_text() for log in run.glob("*.log")])
    study.wait_until_done("hand")
    assert_equal_results(study.run("hand"), local)
    assert study.ask("status", "hand").stdout.count(" done ") == 20


def test_raw_data_to_results_in_one_line(study):
    packed = study.folder / "packed-by-array"
    profile = study.profile("pack", **HALF, nodes=1)
    pack = f"{LAUNCH} pack {study.folder}/dataset --out {packed} --on slurm-array --cluster {profile}"
    train = f"{LAUNCH} --all-subjects --config demo --data {packed} --labels {study.folder}/labels.tsv"
    train += f" --runs {study.folder}/runs --name line --set train.epochs={QUICK} --set data.drop_overlaps=false"
    line = f"{train} --on slurm-array --trials-per-task 5 --cluster {profile} --after $({pack})"
    done = study.cluster.run("sh", "-c", line, timeout=900)
    assert done.returncode == 0, done.stderr
    study.wait_until_done("line")
    assert len(list(packed.glob("sub-*.h5"))) == 19
    before = {path.name: path.read_bytes() for path in packed.glob("sub-*.h5")}
    assert len(before) == 19


def test_code_changes_after_submission(study):
    """A snapshot is what runs; without one, a job whose code is another than at submission refuses."""
    profile = study.profile("code", nodes=1)
    hold = study.cluster.run(
        "sbatch", "--parsable", "--nodes=3", "--exclusive", "--output=/dev/null", "--wrap=sleep 600"
    )
    assert hold.returncode == 0
    wait_for(lambda: "RUNNING" in study.queue("%T"), "the holding job")
    # The working directory is often a checkout, which may have been edited since.
    edited = study.cluster.shared / "deepemotion"
    edited.mkdir()
    (edited / "__init__.py").write_text("raise ImportError('not the code of the snapshot')")
    try:
        for name, more in (("changed", []), ("snapshot", ["--snapshot"])):
            words = [name, QUICK, "--no-pooled", "--on", "slurm", "--cluster", profile, "--detach", *more]
            assert study.launch(*words, subjects="1").returncode == 0
            record = study.run(name).slurm / "submission-001.json"
            if not more:
                # As if the code had been another when the job was submitted.
                from launcher import submissions

                record.write_text(record.read_text().replace(submissions.code_checksum(), "0" * 16))
        pending = study.ask("status", "snapshot").stdout
        assert "pending" in pending
        assert "Resources" in pending or "Priority" in pending
        study.cluster.run("scancel", hold.stdout.strip())
        wait_for(lambda: not study.queue("%i"), "an empty queue")
        assert study.results("snapshot")
        assert not study.results("changed")
        shown = study.ask("status", "changed").stdout
        assert "the code has changed since submission 1" in shown
        assert "exit code" in shown
    finally:
        shutil.rmtree(edited)
    code = next(study.run("snapshot").slurm.glob("code-*"))
    assert (code / "deepemotion" / "training.py").is_file()


def _assert_whole(study, name, local):
    """Require that a run's trials are done as on one machine, each with a GPU of its own, and its tables written."""
    study.wait_until_done(name)
    assert_equal_results(study.run(name), local)
    assert_devices_were_never_shared(study.run(name))
    assert (study.run(name).tables / "trials.parquet").is_file()
    assert_nothing_stayed(study.cluster)
