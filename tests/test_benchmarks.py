"""A benchmark runs in small, and the page of benchmarks says what was measured."""

import json
import subprocess
import sys

import pytest

from benchmarks import data, readme, time_left
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


def test_the_error_of_the_time_left_is_that_of_the_last_line_at_every_second() -> None:
    log = (
        "run: 3 trials to run\n"
        "2026-11-28 10:00:05 done early · 1/4 done · 25 % · 9:59:59 left · best validation accuracy 50.0 % (early)\n"
        "2026-11-28 10:00:10 2/4 done · 25 % · 1:00 left · best validation accuracy 50.0 % (early)\n"
        "2026-11-28 10:00:50 done b · 3/4 done · 50 % · 1.2 epochs/s · 1:00 left · best validation accuracy 5 % (b)\n"
        "2026-11-28 10:01:40 done last · 4/4 done · 100 % · 0:00 left · best validation accuracy 50.0 % (b)\n"
    )
    found = time_left.errors(log, time_left.seconds("2026-11-28 10:00:00"))
    # The first estimate comes before a tenth of the run.
    assert len(found) == 90
    assert found[0] == pytest.approx(30 / 90)
    assert found[30] == pytest.approx(30 / 60)
    assert found[40] == pytest.approx(10 / 50)
    assert found[89] == pytest.approx(10)
