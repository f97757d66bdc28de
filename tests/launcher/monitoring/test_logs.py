"""The logs of a run that `logs` finds: of a job, of a launch on this machine, of a trial."""

import os

from watched_run import NAMES


def test_the_log_of_the_job_or_launch_that_wrote_last_is_printed(run, in_process):
    code, out, err = in_process("deepemotion-launch", "logs", run.path)
    assert (code, out) == (2, "")
    assert "no job or launch has a log yet" in err
    run.sessions.mkdir()
    for path, when in ((run.slurm / "7_0.log", 1), (run.sessions / "session-001.log", 2)):
        path.write_text(f"{path.name}: 1/3 done\n")
        os.utime(path, (when, when))
    assert in_process("deepemotion-launch", "logs", run.path) == (0, "session-001.log: 1/3 done\n", "")
    os.utime(run.slurm / "7_0.log", (3, 3))
    assert in_process("deepemotion-launch", "logs", run.path) == (0, "7_0.log: 1/3 done\n", "")


def test_the_beginning_of_a_trials_name_is_enough_for_its_log(run, in_process):
    run.trial(NAMES[1]).log("started on cpu")
    code, out, _ = in_process("deepemotion-launch", "logs", run.path, NAMES[1][:6])
    assert (code, out.endswith("started on cpu\n")) == (0, True)
    code, _, err = in_process("deepemotion-launch", "logs", run.path, NAMES[0])
    assert (code, "the trial has not started" in err) == (2, True)
