"""The demo's 19 + 1 trials on a real SLURM, undisturbed: by Ray over the nodes, by a job array, and by hand.

All that compares with a run on one machine is here, so that only one worker of the tests makes that run.
"""

import signal
import subprocess

import pytest
from study import (
    LAUNCH,
    PROGRAMS,
    QUICK,
    assert_devices_were_never_shared,
    assert_equal_results,
    assert_nothing_stayed,
    wait_for,
)

from launcher.run import sessions

pytestmark = pytest.mark.slow


def test_an_array_beside_ray_on_the_same_nodes_gives_the_results_of_one_machine(study, local):
    study.submit("beside", QUICK, *study.by_ray("beside"))
    wait_for(lambda: "RUNNING" in study.queue("%T"), "the job with Ray to run")
    # A GPU for each task, so that tasks share nodes with each other and with the other launch.
    words = study.by_array("array", 5)
    done = study.launch("array", QUICK, *words, "--follow")
    assert done.returncode == 0, (done.stderr, study.logs("array"))
    assert "20 done, 0 failed" in done.stderr
    study.wait_until_done("beside")
    _assert_whole(study, "array", local)
    assert_equal_results(study.run("beside"), local)
    assert_devices_were_never_shared(study.run("array"), study.run("beside"))
    spans = [_span(study, name) for name in ("array", "beside")]
    assert max(start for start, _ in spans) < min(end for _, end in spans), "one was over before the other began"
    again = study.launch("array", QUICK, *words, "--follow")
    assert again.returncode == 0, again.stderr
    assert "submitted" not in again.stderr


def test_ray_gives_the_results_of_one_machine_while_following_is_left_and_taken_up_again(study, local):
    words = ["--on", "slurm", "--cluster", study.profile("ray"), "--follow"]
    launch = [LAUNCH, "--all-subjects", *study.words("ray", QUICK, *words)]
    slow = study.slow_environment("ray")
    with study.cluster.popen(*launch, stderr=subprocess.PIPE, text=True, env=slow) as process:
        study.wait_for_epochs("ray", 1)
        # Else the workers of the first node could do it all before the others' are there.
        wait_for(lambda: len(study.hosts("ray")) > 1, "two nodes at work", lambda: study.logs("ray"))
        study.speed_up("ray")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "the jobs continue" in said
    assert study.queue("%i")
    watched = study.ask("status", "ray", "--follow", "--all")
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


def test_scripts_submitted_by_hand(study, local):
    planned = study.launch("hand", QUICK, "--plan-only")
    assert planned.returncode == 0, planned.stderr
    scripts = PROGRAMS.parents[1] / "slurm"
    run = study.run("hand").path
    # The nodes have what the scripts ask for but the memory.
    small = ["--mem=2500", "--cpus-per-task=4", "--wait", f"--output={run}/%A_%a.log"]
    path = {"env": {"PATH": f"{PROGRAMS}:/usr/bin:/bin:/usr/sbin:/sbin"}}
    done = study.cluster.run("sbatch", *small, "--array=0-1", scripts / "train_array.sbatch", run, timeout=900, **path)
    assert done.returncode == 0, (done.stderr, [log.read_text() for log in run.glob("*.log")])
    study.wait_until_done("hand")
    assert_equal_results(study.run("hand"), local)
    assert study.ask("status", "hand", "--all").stdout.count(" done ") == 20


def _span(study, name):
    """Return when the first session of a run began, and when its last gave its last sign of life (s)."""
    found = sessions.read(study.run(name).sessions)
    return min(session.started for session in found), max(session.beat for session in found)


def _assert_whole(study, name, local):
    """Require that a run's trials are done as on one machine, each with a GPU of its own, and its tables written."""
    study.wait_until_done(name)
    assert_equal_results(study.run(name), local)
    assert_devices_were_never_shared(study.run(name))
    assert (study.run(name).tables / "trials.parquet").is_file()
    assert_nothing_stayed(study.cluster)
