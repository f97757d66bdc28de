"""Runs on a real SLURM, disturbed: a node dies, jobs are preempted and cancelled."""

import pytest
from study import FEW, FEW_TRIALS, LINEAR, assert_curves_are_whole, assert_nothing_stayed, wait_for

from launcher.run import sessions

pytestmark = pytest.mark.slow

EPOCHS = 30


def test_a_node_dies_that_is_a_worker_of_one_job_and_the_head_of_another(study):
    study.submit_slowly("worker", EPOCHS, *study.by_ray("worker"))
    wait_for(lambda: study.queue("%T") == "RUNNING", "worker: running")
    # The first node being full, the other job begins on the second.
    filler = study.cluster.output("sbatch", "--parsable", "--nodelist=node1", "--cpus-per-task=4", "--wrap=sleep 600")
    study.submit_slowly("head", EPOCHS, *study.by_ray("head", nodes=2))
    wait_for(lambda: study.queue("%T").split() == ["RUNNING"] * 3, "head: running")
    study.cluster.output("scancel", filler)
    runs = ("worker", "head")
    study.slow_down_amid(*runs)
    assert [_hosts(study, name) for name in runs] == [["node1"], ["node2"]]
    before = {name: study.results(name) for name in runs}
    study.cluster.crash("node2")
    try:
        study.speed_up(*runs)
        for name in runs:
            study.wait_until_done(name, FEW_TRIALS)
    finally:
        study.cluster.restore("node2")
    for name in runs:
        study.assert_kept(name, before[name])
        assert_curves_are_whole(study.run(name), EPOCHS)
    # A lost worker costs its job no more than that node; a job that has lost its head is requeued.
    assert [study.logs(name).count("trials to run") for name in runs] == [1, 2]
    assert any("resumed after epoch" in path.read_text() for path in study.run("head").path.glob("trials/*/log.txt"))
    assert_nothing_stayed(study.cluster)


def test_a_higher_partition_preempts(study):
    # The array's tasks are given a minute to end, and end sooner.
    runs = {"preempt-ray": study.by_ray("preempt-ray", partition="low")}
    runs |= {"preempt-array": study.by_array("preempt-array", 3, partition="patient")}
    for name, words in runs.items():
        study.submit_slowly(name, EPOCHS, *words)
    study.slow_down_amid(*runs)
    before = {name: study.results(name) for name in runs}
    study.cluster.output("sbatch", "--partition=high", "--nodes=3", "--exclusive", "--wrap=srun sleep 15")
    for name in runs:
        wait_for(lambda name=name: "preempted" in study.ask("status", name).stdout, f"{name}: preempted")
    study.speed_up(*runs)
    for name in runs:
        study.wait_until_done(name, FEW_TRIALS)
        study.assert_kept(name, before[name])
        assert_curves_are_whole(study.run(name), EPOCHS)
    assert_nothing_stayed(study.cluster)


def test_cancelled_and_launched_again(study):
    runs = study.both_ways("cancel", trials_per_task=3)
    for name, words in runs.items():
        study.submit_slowly(name, EPOCHS, *words)
    study.slow_down_amid(*runs)
    for name, words in runs.items():
        assert "already queued or running in SLURM" in study.submit(name, EPOCHS, *words, *LINEAR, subjects=FEW).stderr
        here = study.launch(name, EPOCHS, "--on", "local", *LINEAR, subjects=FEW)
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
    study.submit(by_ray, EPOCHS, *runs[by_ray], *LINEAR, subjects=FEW)
    again = study.ask("retry", by_array)
    assert again.returncode == 0, again.stderr
    for name in runs:
        study.wait_until_done(name, FEW_TRIALS)
        study.assert_kept(name, before[name])
        assert_curves_are_whole(study.run(name), EPOCHS)
        assert "nothing to submit" in study.ask("retry", name).stderr


def _hosts(study, name):
    """Return the hosts of the sessions at work on a run: where Ray's head is."""
    return [session.host for session in sessions.read(study.run(name).sessions) if session.alive]
