"""The demo as `make demo` runs it, with two subjects and one epoch."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

PROGRAMS = Path(sys.executable).parent
DEMO = Path(__file__).resolve().parents[2] / "tools" / "demo"
# What the programs are given on top of the demo's own words, by their first one.
IN_SMALL = {"simulate": "--subjects 2 --volumes-per-run 20", "--all-subjects": "--set train.epochs=1"}


@pytest.fixture
def demo(tmp_path):
    """Return a function that runs the demo in a folder, and returns what it says."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("deepemotion", "deepemotion-launch"):
        cases = "".join(f'{word}) set -- "$@" {more} ;;\n' for word, more in IN_SMALL.items())
        (programs / name).write_text(f'#!/bin/sh\ncase "$1" in\n{cases}esac\nexec {PROGRAMS / name} "$@"\n')
        (programs / name).chmod(0o755)

    def run():
        path = f"{programs}:{PROGRAMS}:{os.environ['PATH']}"
        words = ["sh", str(DEMO), str(tmp_path / "demo")]
        done = subprocess.run(words, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_demo_says_where_everything_lies_and_trains_once(demo, tmp_path):
    said = dict(line.split(":", 1) for line in demo().splitlines()[-4:])
    program, _, logs = said["TensorBoard"].split()
    tables = Path(said["Tables"].split()[0])
    for path in (program, logs, said["Figure 1"].strip(), said["Report"].strip(), tables):
        assert Path(path).exists(), path
    trials = pd.read_csv(tables / "trials.csv")
    # Two subjects and the pooled model, at two learning rates.
    assert trials["state"].tolist() == ["done"] * 6
    results = {path: path.stat().st_mtime_ns for path in (tmp_path / "demo").glob("runs/demo/trials/*/result.json")}
    assert len(results) == 6
    demo()
    assert {path: path.stat().st_mtime_ns for path in results} == results
