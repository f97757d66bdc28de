"""A benchmark runs in small, and the page of benchmarks says what was measured."""

import json
import subprocess
import sys

import pytest

from benchmarks import data, readme
from benchmarks.machine import ROOT
from benchmarks.stage import RESULTS


@pytest.mark.slow
def test_a_stage_runs_in_small_and_leaves_the_full_results_alone() -> None:
    quick = data.FOLDER / "quick-results" / "load.json"
    quick.unlink(missing_ok=True)
    before = (RESULTS / "load.json").read_bytes()
    words = [sys.executable, "-m", "benchmarks", "--quick", "load"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(quick.read_text())
    assert found["quick"]
    assert found["figures"]
    for figure in found["figures"]:
        assert figure["value"] > 0
        assert figure["what"] in done.stdout
    assert (RESULTS / "load.json").read_bytes() == before


def test_the_page_says_what_was_measured() -> None:
    text = readme.README.read_text(encoding="utf-8")
    assert readme.filled(text) == text
