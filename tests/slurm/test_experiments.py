"""The demo's 19 + 1 trials on a real SLURM: by Ray over the nodes and by a job array, undisturbed and disturbed."""

import signal
import subprocess
import time

import pytest
from study import (
    LAUNCH,
    NODES,
    PROGRAMS,
    assert_curves_are_whole,
    assert_devices_were_never_shared,
    assert_equal_results,
    assert_nothing_stayed,
    make_study,
    wait_for,
)

pytestmark = pytest.mark.slow

QUICK = 6
LONG = 60


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
    more = ["--trials-per-task", 3] if mode == "slurm-array" else []
    # A GPU a task, so that tasks share nodes; a job with Ray takes whole nodes.
    profile = study.profile(name, **({"gpus_per_node": 1, "cpus_per_node": 4, "memory_gb": 2.5} if more else {}))
    done = study.launch(name, QUICK, "--on", mode, "--cluster", profile, "--follow", *more)
    assert done.returncode == 0, (done.stderr, study.logs(name))
    assert "20 done, 0 failed" in done.stderr
    study.wait_until_done(name)
    assert_equal_results(study.run(name), local)
    assert_devices_were_never_shared(study.run(name))
    assert (study.run(name).tables / "trials.parquet").is_file()
    assert_nothing_stayed(study.cluster)
    again = study.launch(name, QUICK, "--on", mode, "--cluster", profile, "--follow")
    assert again.returncode == 0, again.stderr
    assert "submitted" not in again.stderr


def test_a_worker_node_dies(study):
    profile = study.profile("worker")
    submitted = study.launch("worker", LONG, "--on", "slurm", "--cluster", profile, "--detach")
    assert submitted.returncode == 0, submitted.stderr
    study.wait_for_epochs("worker", 30, done=1)
    (head,) = _hosts(study, "worker")
    victim = next(node for node in NODES if node != head)
    before = study.results("worker")
    study.cluster.crash(victim)
    try:
        study.wait_until_done("worker")
    finally:
        study.cluster.restore(victim)
    after = study.results("worker")
    assert {name: after[name] for name in before} == before
    assert_curves_are_whole(study.run("worker"), LONG)
    # One job, never requeued: the others went on.
    assert study.logs("worker").count("trials to run") == 1
    assert_nothing_stayed(study.cluster)


def test_the_head_node_dies(study):
    profile = study.profile("head", nodes=2)
    submitted = study.launch("head", LONG, "--on", "slurm", "--cluster", profile, "--detach")
    assert submitted.returncode == 0, submitted.stderr
    study.wait_for_epochs("head", 30, done=1)
    (head,) = _hosts(study, "head")
    before = study.results("head")
    study.cluster.crash(head)
    try:
        study.wait_until_done("head")
    finally:
        study.cluster.restore(head)
    after = study.results("head")
    assert {name: after[name] for name in before} == before
    assert_curves_are_whole(study.run("head"), LONG)
    assert study.logs("head").count("trials to run") == 2
    assert any("resumed after epoch" in path.read_text() for path in study.run("head").path.glob("trials/*/log.txt"))
    assert_nothing_stayed(study.cluster)


@pytest.mark.parametrize("mode", ["slurm", "slurm-array"])
def test_the_time_limit_strikes_twice(study, mode):
    # An allocation trains for less than a minute: enough for two of them, however fast the machine.
    name, epochs = f"limit-{mode}", {"slurm": 400, "slurm-array": 200}[mode]
    profile = study.profile(name, time=2, warn_before_end_s=40, nodes=3 if mode == "slurm" else 1)
    more = ["--trials-per-task", 7] if mode == "slurm-array" else []
    submitted = study.launch(name, epochs, "--on", mode, "--cluster", profile, "--detach", *more)
    assert submitted.returncode == 0, submitted.stderr
    done_early = {}
    while study.queue("%i"):
        for trial, written in study.results(name).items():
            assert done_early.setdefault(trial, written) == written, f"{trial} was trained again"
        time.sleep(1)
    study.wait_until_done(name)
    assert_curves_are_whole(study.run(name), epochs)
    assert study.logs(name).count("time limit: stopping") >= 2
    assert_nothing_stayed(study.cluster)


@pytest.mark.parametrize("mode", ["slurm", "slurm-array"])
def test_a_higher_partition_preempts(study, mode):
    name = f"preempt-{mode}"
    profile = study.profile(name, partition="low")
    more = ["--trials-per-task", 7] if mode == "slurm-array" else []
    submitted = study.launch(name, LONG, "--on", mode, "--cluster", profile, "--detach", *more)
    assert submitted.returncode == 0, submitted.stderr
    study.wait_for_epochs(name, 20)
    before = study.results(name)
    urgent = ["sbatch", "--parsable", "--partition=high", "--nodes=3", "--exclusive", "--wrap=srun sleep 15"]
    assert study.cluster.run(*urgent, "--output=/dev/null").returncode == 0
    wait_for(lambda: "preempted" in study.ask("status", name).stdout, f"{name}: preempted", lambda: study.logs(name))
    study.wait_until_done(name)
    after = study.results(name)
    assert {trial: after[trial] for trial in before} == before
    assert_curves_are_whole(study.run(name), LONG)
    assert_nothing_stayed(study.cluster)


@pytest.mark.parametrize("mode", ["slurm", "slurm-array"])
def test_cancelled_and_launched_again(study, mode):
    name = f"cancel-{mode}"
    profile = study.profile(name)
    launch = [name, LONG, "--on", mode, "--cluster", profile, "--detach"]
    more = ["--trials-per-task", 7] if mode == "slurm-array" else []
    assert study.launch(*launch, *more).returncode == 0
    study.wait_for_epochs(name, 30, done=1)
    twice = study.launch(*launch, *more)
    assert twice.returncode == 0
    assert "with SLURM already" in twice.stderr
    assert len(study.queue("%A").split()) in (1, 3)
    here = study.launch(name, LONG, "--on", "local")
    assert here.returncode == 2
    assert "cancel" in here.stderr
    before = study.results(name)
    cancelled = study.ask("cancel", name)
    assert cancelled.returncode == 0, cancelled.stderr
    wait_for(lambda: not study.queue("%i"), "cancelled")
    shown = study.ask("status", name).stdout
    assert "cancelled" in shown
    assert_nothing_stayed(study.cluster)
    again = study.ask("retry", name) if mode == "slurm-array" else study.launch(*launch, *more)
    assert again.returncode == 0, again.stderr
    study.wait_until_done(name)
    after = study.results(name)
    assert {trial: after[trial] for trial in before} == before
    assert_curves_are_whole(study.run(name), LONG)
    assert "nothing to submit" in study.ask("retry", name).stderr


def test_two_launches_at_once_on_the_same_nodes(study, local):
    half = {"cpus_per_node": 4, "gpus_per_node": 1, "memory_gb": 2.5}
    for name in ("two-a", "two-b"):
        submitted = study.launch(name, QUICK, "--on", "slurm", "--cluster", study.profile(name, **half), "--detach")
        assert submitted.returncode == 0, submitted.stderr
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
    profile = study.profile("pack", nodes=1, gpus_per_node=1, cpus_per_node=4, memory_gb=2.5)
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
    code = next(study.run("snapshot").slurm.glob("code-*"))
    assert (code / "deepemotion" / "training.py").is_file()


def _hosts(study, name):
    """Return the hosts of the sessions at work on a run: where Ray's head is."""
    from launcher import sessions

    return [session.host for session in sessions.read(study.run(name).sessions) if session.alive]
