"""A run that was submitted, and a SLURM whose words are known."""

import pytest
from watched_run import NAMES, planned

from launcher.run.directory import RunDirectory
from launcher.slurm import submissions
from launcher.slurm.submissions import Submission


@pytest.fixture
def run(tmp_path):
    """A run of three trials, submitted as array tasks 0 to 2 of job 7."""
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.add_to_plan([planned(name) for name in NAMES])
    submissions.write(run, Submission(1, "slurm-array", [[name] for name in NAMES], "site", "code", jobs={"7": 0}))
    return run


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a function that makes squeue and sacct say lines; None takes the program away."""
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda name: str(tools / name) if (tools / name).exists() else None)

    def say(**programs):
        for name, lines in programs.items():
            if lines is None:
                (tools / name).unlink(missing_ok=True)
                continue
            (tools / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
            (tools / name).write_text(f"#!/bin/sh\necho called >> {tools}/{name}.calls\ncat {tools}/{name}.txt\n")
            (tools / name).chmod(0o755)
        return tools

    return say
