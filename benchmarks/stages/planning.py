"""Planning ten thousand trials, showing them with --dry-run, and how fast the programs answer --help."""

import time
from typing import Any

from benchmarks import data, programs
from benchmarks.stage import at_most, stage
from deepemotion import config_files
from launcher.planning import data_facts, experiment
from launcher.planning.experiment import Experiment
from launcher.planning.facts import DataFacts
from launcher.planning.plan import make_plan

_SUBJECTS = 20
_ROUNDS = 5


def sweep(trials: int) -> dict[str, list[Any]]:
    """Return the swept settings that make as many trials of single subjects."""
    return {"train.learning_rate": [1e-4, 1e-3], "train.seed": list(range(trials // _SUBJECTS // 2))}


def question(trials: int) -> tuple[Experiment, DataFacts]:
    """Return what a plan of as many trials is made from."""
    folder = data.packed((8, 8, 8), 20, subjects=_SUBJECTS)
    wanted = experiment.read(config_files.find("paper"), [], {"pooled": False}, sweep(trials))
    return wanted, data_facts.read(folder, folder / "labels.tsv", wanted)[0]


def plan(trials: int) -> tuple[float, float]:
    """Plan trials; return the seconds of the clock and of the processor."""
    wanted, facts = question(trials)
    started, processor = time.perf_counter(), time.process_time()
    planned = make_plan(wanted, facts)
    seconds = time.perf_counter() - started, time.process_time() - processor
    if len(planned) != trials:
        raise ValueError(f"{len(planned)} trials planned, not {trials}")
    return seconds


def dry_run(trials: int) -> list[object]:
    """Return the words of the command that shows such a plan."""
    folder = data.packed((8, 8, 8), 20, subjects=_SUBJECTS)
    sweeps = [
        word for key, values in sweep(trials).items() for word in ("--sweep", f"{key}={','.join(map(str, values))}")
    ]
    where = ("--data", folder, "--labels", folder / "labels.tsv", "--runs", data.FOLDER / "runs")
    return ["--all-subjects", "--no-pooled", "--config", "paper", *where, *sweeps, "--dry-run"]


def main() -> None:
    """Measure and report."""
    with stage("planning", __doc__) as this:
        trials = 1000 if this.quick else 10_000
        times = [plan(trials) for _ in range(_ROUNDS)]
        processor = f"processor {min(seconds for _, seconds in times):.2f} s"
        this.seconds(f"make_plan, {trials:,} trials", [wall for wall, _ in times], at_most(2), processor)
        seconds, processor = programs.repeat(_ROUNDS, "deepemotion-launch", *dry_run(trials))
        this.seconds(f"deepemotion-launch --dry-run, {trials:,} trials", seconds, at_most(2), processor)
        for name in ("deepemotion", "deepemotion-launch"):
            seconds, processor = programs.repeat(2 * _ROUNDS, name, "--help")
            this.seconds(f"{name} --help", seconds, at_most(0.3), processor)


if __name__ == "__main__":
    main()
