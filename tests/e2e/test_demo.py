"""The demo as `make demo` runs it, with two subjects, one epoch, and one run left out."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

PROGRAMS = Path(sys.executable).parent
DEMO = Path(__file__).resolve().parents[2] / "tools" / "demo"
# What the programs are given on top of the demo's own words, by their first one.
IN_SMALL = {
    "simulate": "--subjects 2 --volumes-per-run 20",
    "--all-subjects": "--set train.epochs=1",
    # Runs this short share nearly everything.
    "--subjects": "--set train.epochs=1 --set split.fold=1 --set data.drop_overlaps=false",
}


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


def test_the_demo_says_where_everything_is_after_its_result_and_trains_once(demo, tmp_path):
    lines = demo().splitlines()
    said = dict(line.split(":", 1) for line in lines[-4:])
    program, _, logs = said["TensorBoard"].split()
    tables = Path(said["Tables"].split()[0])
    report = Path(said["Report"].strip())
    for path in (program, logs, said["Figure 1"].strip(), report, tables):
        assert Path(path).exists(), path
    result = lines[-8:-5]
    assert [sentence.partition(" (lr")[0] for sentence in result] == [
        "Published protocol (random), 2 single-subject models",
        "Published protocol (random), pooled",
        "Whole runs left out (run), sub-01",
    ]
    assert re.search(r"p = [0-9.]+ by 19 permutations.*; beats every control without a brain: (yes|no) \(", result[-1])
    assert all(sentence in report.read_text() for sentence in result)
    trials = pd.read_csv(tables / "trials.csv")
    assert trials["state"].eq("done").all()
    # Two subjects and the pooled model at two learning rates; the brain, its 19 permutations and five controls.
    assert trials["protocol"].value_counts().to_dict() == {"random": 6, "run": 25}
    results = {path: path.stat().st_mtime_ns for path in (tmp_path / "demo").glob("runs/demo/trials/*/result.json")}
    assert len(results) == 31
    demo()
    assert {path: path.stat().st_mtime_ns for path in results} == results
