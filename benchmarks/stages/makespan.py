"""Twenty equal trials on two slots under --on local: what Ray Tune and everything around training add."""

import json
import shutil
import subprocess
import time
from pathlib import Path

from benchmarks import child, data, ours, programs
from benchmarks.stage import at_most, stage

_TRIALS, _SLOTS = 20, 2
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


def _command(folder: Path, runs: Path, epochs: int) -> list[object]:
    settings = {"train.epochs": epochs, "train.batch_size": _BATCH, "train.threads": 1, "data.drop_overlaps": "false"}
    changes = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    seeds = ",".join(map(str, range(_TRIALS)))
    where = ("--data", folder, "--labels", folder / "labels.tsv", "--runs", runs, "--name", "run")
    return ["--subjects", "1", "--no-pooled", "--config", "demo", *where, *changes, "--sweep", f"train.seed={seeds}"]


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
        runs = data.FOLDER / "out-makespan"
        shutil.rmtree(runs, ignore_errors=True)
        runs.mkdir(parents=True)
        epoch, _ = child.call(_seconds_an_epoch, folder)
        epochs = max(1, round((2 if this.quick else 10) / epoch))
        started = time.time()
        log = runs / "log.txt"
        command = programs.start("deepemotion-launch", *_command(folder, runs, epochs), "--on", "local", log=log)
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


if __name__ == "__main__":
    main()
