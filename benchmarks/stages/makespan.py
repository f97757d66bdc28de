"""Launches on two slots under --on local: what everything around training adds, and how good the time left is."""

import json
import shutil
import subprocess
import time
from pathlib import Path

from benchmarks import child, data, ours, programs, time_left
from benchmarks.stage import Stage, at_most, stage

_TRIALS, _SLOTS = 20, 2
# Of the launch whose trials differ: its subjects, each trained alone and all together, with both models.
_SUBJECTS, _MODELS, _FEW_VOLUMES = 6, "cnn3d,linear", 10
_MOST_ERROR = 20
_BATCH = 20
_RUNS, _VOLUMES = 8, 40
# Trials of the same data that nobody waits long for, and whose epochs are as long as real ones on a GPU.
_SHAPE = (33, 44, 12)
_POLL_S = 0.01


class LaunchError(Exception):
    """The launch failed; its log is the text."""


def _seconds_an_epoch(folder: Path) -> float:
    seconds: list[float] = []
    wanted = ours.trial(["01"], 3, _BATCH, 1)
    ours.run(wanted, folder, folder / "labels.tsv", lambda metrics: seconds.append(metrics["time/epoch"]))
    return min(seconds)


def _command(folder: Path, runs: Path, epochs: int, *trials: object) -> list[object]:
    settings = {"train.epochs": epochs, "train.batch_size": _BATCH, "train.threads": 1, "data.drop_overlaps": "false"}
    changes = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    where = ("--data", folder, "--labels", folder / "labels.tsv", "--runs", runs, "--name", "run")
    return ["--config", "demo", *where, *changes, "--on", "local", *trials]


def _watch(process: subprocess.Popen[bytes], run: Path, log: Path) -> dict[str, float]:
    """Return when (seconds since the epoch) Tune's session began, the first trial, and the command's end."""
    seen: dict[str, float] = {}
    patterns = {"session": "tune/*", "trial": "trials/*/trial.json"}
    while process.poll() is None:
        for name, pattern in patterns.items():
            if name not in seen and next(run.glob(pattern), None) is not None:
                seen[name] = time.time()
        time.sleep(_POLL_S if len(seen) < len(patterns) else 0.2)
    seen["end"] = time.time()
    if process.returncode:
        raise LaunchError(log.read_text(encoding="utf-8")[-3000:])
    return seen


def main() -> None:
    """Measure and report."""
    with stage("makespan", __doc__) as this:
        folder = data.packed(_SHAPE, _VOLUMES, _RUNS)
        runs = _empty("out-makespan")
        epoch, _ = child.call(_seconds_an_epoch, folder)
        epochs = max(1, round((2 if this.quick else 10) / epoch))
        started = time.time()
        log = runs / "log.txt"
        equal = ("--subjects", "1", "--no-pooled", "--sweep", f"train.seed={','.join(map(str, range(_TRIALS)))}")
        command = programs.start("deepemotion-launch", *_command(folder, runs, epochs, *equal), log=log)
        seen = _watch(command, runs / "run", log)
        files = sorted((runs / "run" / "trials").glob("*/result.json"))
        results = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        last = max(file.stat().st_mtime for file in files)
        training = sum(result["training_s"] for result in results)
        whole = sum(result["duration_s"] for result in results)
        this.number("makespan against training times", (last - seen["session"]) * _SLOTS / training, "x", at_most(1.10))
        this.number("without starting the workers", (last - seen["trial"]) * _SLOTS / training, "x")
        this.number("against whole trials' times", (last - seen["session"]) * _SLOTS / whole, "x")
        this.note(f"{len(results)} trials of {epochs} epochs, {training / len(results):.1f} s training each")
        this.note(
            f"Ray's start-up {seen['session'] - started:.1f} s, first worker {seen['trial'] - seen['session']:.1f} s,"
            f" trials {last - seen['trial']:.1f} s, shutdown and tables {seen['end'] - last:.1f} s"
        )
        _add_error(this, "equal trials", log, started)
        _unequal(this, 8 if this.quick else 40)


def _unequal(this: Stage, epochs: int) -> None:
    """Measure the time left of a launch whose trials differ: the pooled ones take as long as all others together."""
    folder, runs = data.packed(_SHAPE, _FEW_VOLUMES, _RUNS, _SUBJECTS), _empty("out-time-left")
    log = runs / "log.txt"
    started = time.time()
    words = _command(folder, runs, epochs, "--all-subjects", "--model", _MODELS)
    _watch(programs.start("deepemotion-launch", *words, log=log), runs / "run", log)
    _add_error(this, "unequal trials", log, started)


def _add_error(this: Stage, trials: str, log: Path, started: float) -> None:
    error = time_left.median_percent(log.read_text(encoding="utf-8"), started)
    note = "over every second from a tenth of the run on"
    this.number(f"median error of the time left, {trials}", error, "%", at_most(_MOST_ERROR), note)


def _empty(name: str) -> Path:
    folder = data.FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    main()
