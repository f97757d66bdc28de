"""The demo's 19 + 1 trials on a real SLURM: by Ray over the nodes and by a job array, undisturbed and disturbed."""

import shutil
import signal
import subprocess
import time

import pytest
from study import (
    HALF,
    LAUNCH,
    PROGRAMS,
    assert_curves_are_whole,
    assert_devices_were_never_shared,
    assert_equal_results,
    assert_nothing_stayed,
    make_study,
    wait_for,
)

from launcher import sessions

pytestmark = pytest.mark.slow

QUICK = 6
LONG = 30


@pytest.fixture(scope="session")
def study(cluster):
    return make_study(cluster)


@pytest.fixture(scope="session")
def local(study):
    """The same trials on this machine: what every run on the cluster has to give."""
    words = ["--all-subjects", *study.words("local", QUICK, "--on", "local")]
    done = subprocess.run([LAUNCH, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return study.run("local")


@pytest.mark.parametrize("mode", ["slurm", "slurm-array"])
def test_results_equal_those_of_one_machine(study, local, mode):
    name = f"whole-{mode}"
    # A GPU a task, so that tasks share nodes; a job with Ray takes whole nodes.
    words = study.by_array(name, 3) if mode == "slurm-array" else ["--on", mode, "--cluster", study.profile(name)]
    done = study.launch(name, QUICK, *words, "--follow")
    assert done.returncode == 0, (done.stderr, study.logs(name))
    assert "20 done, 0 failed" in done.stderr
    study.wait_until_done(name)
    assert_equal_results(study.run(name), local)
    assert_devices_were_never_shared(study.run(name))
    assert (study.run(name).tables / "trials.parquet").is_file()
    assert_nothing_stayed(study.cluster)
    again = study.launch(name, QUICK, *words, "--follow")
    assert again.returncode == 0, again.stderr
    assert "submitted" not in again.stderr


def test_a_node_dies_that_is_a_worker_of_one_job_and_the_head_of_another(study):
    study.submit("worker", LONG, *study.by_ray("worker"))
    wait_for(lambda: study.queue("%T") == "RUNNING", "worker: running")
    # The first node being full, the other job begins on the second.
    filler = study.cluster.output("sbatch", "--parsable", "--nodelist=node1", "--cpus-per-task=4", "--wrap=sleep 600")
    study.submit("head", LONG, *study.by_ray("head", nodes=2))
    wait_for(lambda: study.queue("%T").split() == ["RUNNING"] * 3, "head: running")
    study.cluster.output("scancel", filler)
    runs = ("worker", "head")
    for name in runs:
        study.wait_for_epochs(name, 20, done=1)
    assert [_hosts(study, name) for name in runs] == [["node1"], ["node2"]]
    before = {name: study.results(name) for name in runs}
    study.cluster.crash("node2")
    try:
        for name in runs:
            study.wait_until_done(name)
    finally:
        study.cluster.restore("node2")
    for name in runs:
        study.assert_kept(name, before[name])
        assert_curves_are_whole(study.run(name), LONG)
    # A lost worker costs its job no more than that node; a job that has lost its head is requeued.
    assert [study.logs(name).count("trials to run") for name in runs] == [1, 2]
    assert any("resumed after epoch" in path.read_text() for path in study.run("head").path.glob("trials/*/log.txt"))
    assert_nothing_stayed(study.cluster)


def test_the_time_limit_strikes_twice(study):
    # More than two allocations, in which less than 80 s are left for training, can do.
    epochs = 100
    runs = study.both_ways("limit", time=2, warn_before_end_s=40)
    for name, words in runs.items():
        study.submit(name, epochs, *words)
    done_early = {}
    while study.queue("%i"):
        for name in runs:
            for trial, written in study.results(name).items():
                assert done_early.setdefault((name, trial), written) == written, f"{name}: {trial} was trained again"
        time.sleep(1)
    for name in runs:
        study.wait_until_done(name)
        assert_curves_are_whole(study.run(name), epochs)
        logs = [log.read_text() for log in study.run(name).slurm.glob("*.log")]
        assert max(log.count("time limit: stopping") for log in logs) >= 2
        # Nothing else has ended a session: a task that is requeued leaves the others of its array alone.
        ended = {session.ended for session in sessions.read(study.run(name).sessions)}
        assert ended == {"time limit", "done"}
    assert_nothing_stayed(study.cluster)


def test_a_higher_partition_preempts(study):
    # The array's tasks are given a minute to end, and end sooner.
    runs = {"preempt-ray": study.by_ray("preempt-ray", partition="low")}
    runs |= {"preempt-array": study.by_array("preempt-array", 7, partition="patient")}
    for name, words in runs.items():
        study.submit(name, LONG, *words)
    for name in runs:
        study.wait_for_epochs(name, 10)
    before = {name: study.results(name) for name in runs}
    study.cluster.output("sbatch", "--partition=high", "--nodes=3", "--exclusive", "--wrap=srun sleep 15")
    for name in runs:
        wait_for(lambda name=name: "preempted" in study.ask("status", name).stdout, f"{name}: preempted")
    for name in runs:
        study.wait_until_done(name)
        study.assert_kept(name, before[name])
        assert_curves_are_whole(study.run(name), LONG)
    assert_nothing_stayed(study.cluster)


def test_cancelled_and_launched_again(study):
    runs = study.both_ways("cancel")
    for name, words in runs.items():
        study.submit(name, LONG, *words)
    for name in runs:
        study.wait_for_epochs(name, 20, done=1)
    for name, words in runs.items():
        assert "with SLURM already" in study.submit(name, LONG, *words).stderr
        here = study.launch(name, LONG, "--on", "local")
        assert here.returncode == 2
        assert "cancel" in here.stderr
    # The job with Ray, and an array of three.
    assert len(study.queue("%A").split()) == 4
    for name in runs:
        cancelled = study.ask("cancel", name)
        assert cancelled.returncode == 0, cancelled.stderr
    wait_for(lambda: not study.queue("%i"), "cancelled")
    before = {name: study.results(name) for name in runs}
    for name in runs:
        assert "cancelled" in study.ask("status", name).stdout
    assert_nothing_stayed(study.cluster)
    by_ray, by_array = runs
    study.submit(by_ray, LONG, *runs[by_ray])
    again = study.ask("retry", by_array)
    assert again.returncode == 0, again.stderr
    for name in runs:
        study.wait_until_done(name)
        study.assert_kept(name, before[name])
        assert_curves_are_whole(study.run(name), LONG)
        assert "nothing to submit" in study.ask("retry", name).stderr


def test_two_launches_at_once_on_the_same_nodes(study, local):
    for name in ("two-a", "two-b"):
        study.submit(name, QUICK, *study.by_ray(name))
    wait_for(lambda: study.queue("%T").split().count("RUNNING") == 2, "both to run")
    for name in ("two-a", "two-b"):
        study.wait_until_done(name)
        assert_equal_results(study.run(name), local)
    assert_nothing_stayed(study.cluster)


def test_following_is_left_and_taken_up_again(study):
    words = ["--subjects", "1-3", *study.words("follow", LONG, "--on", "slurm")]
    words += ["--cluster", study.profile("follow", nodes=1), "--follow"]
    with study.cluster.popen(LAUNCH, *words, stderr=subprocess.PIPE, text=True) as process:
        study.wait_for_epochs("follow", 3)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "the jobs go on" in said
    assert study.queue("%i")
    watched = study.ask("status", "follow", "--follow")
    assert watched.returncode == 0, watched.stderr
    assert watched.stdout.count(" done ") == 4
    # The job itself tidies up after its last trial.
    wait_for(lambda: not study.queue("%i"), "an empty queue")
    log = study.ask("logs", "follow")
    assert "trials to run" in log.stdout
    trial = study.ask("logs", "follow", "sub-02")
    assert "done: validation accuracy" in trial.stdout
    none = study.ask("logs", "follow", "sub-17")
    assert none.returncode == 2


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


def _hosts(study, name):
    """Return the hosts of the sessions at work on a run: where Ray's head is."""
    return [session.host for session in sessions.read(study.run(name).sessions) if session.alive]
