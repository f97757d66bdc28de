"""Results and status of a run with two thousand trials of 50 epochs and 800 predictions each."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks import data, programs
from benchmarks.stage import at_most, stage
from benchmarks.stages.planning import question
from deepemotion.scoring import predictions
from deepemotion.training.trial_directory import TrialDirectory
from launcher.planning.plan import PlannedTrial, make_plan
from launcher.run.directory import RunDirectory

_EPOCHS, _PREDICTIONS, _ROUNDS = 50, 800, 3


def finished_run(trials: int) -> Path:
    """Return the folder of a run whose trials are all done, with made-up metrics; one that is there stays."""
    path = data.FOLDER / f"run-{trials}"
    marker = path / "finished"
    if marker.exists():
        return path
    shutil.rmtree(path, ignore_errors=True)
    wanted, facts = question(trials)
    planned = make_plan(wanted, facts)
    run = RunDirectory(path)
    run.add_to_plan(planned)
    run.write_experiment(wanted)
    table = _predictions()
    for trial in planned:
        _write_trial(run.trial(trial.name), trial, table)
    marker.touch()
    return path


def _predictions() -> pa.Table:
    noise = np.random.default_rng(0)
    probability = noise.dirichlet(np.ones(len(data.CLASSES)), _PREDICTIONS).astype(np.float32)
    names = np.array(data.CLASSES)
    return pa.table(
        {
            "subject": pa.array(["01"] * _PREDICTIONS).dictionary_encode(),
            "run": np.repeat(np.arange(1, 9, dtype=np.int8), _PREDICTIONS // 8),
            "index_in_run": np.tile(np.arange(_PREDICTIONS // 8), 8),
            "movie_time": data.TR_S * np.arange(_PREDICTIONS),
            "split": pa.array(["train"] * 640 + ["validation"] * 160).dictionary_encode(),
            "label": pa.array(names[noise.integers(0, 5, _PREDICTIONS)]).dictionary_encode(),
            "prediction": pa.array(names[probability.argmax(axis=1)]).dictionary_encode(),
            **{f"p_{name}": probability[:, i] for i, name in enumerate(data.CLASSES)},
        }
    )


def _write_trial(directory: TrialDirectory, trial: PlannedTrial, table: pa.Table) -> None:
    noise = np.random.default_rng(trial.seed)
    history: list[dict[str, Any]] = [
        {
            "epoch": epoch,
            "loss/train": noise.random(),
            "accuracy/train": noise.random(),
            "loss/validation": noise.random(),
            "accuracy/validation": noise.random(),
            **{f"emotion/{name.lower()}": noise.random() for name in data.CLASSES},
            "learning_rate": trial.learning_rate,
            "time/epoch": 1 + noise.random(),
        }
        for epoch in range(1, _EPOCHS + 1)
    ]
    directory.log("done")
    directory.write_epochs(history)
    predictions.write(directory.predictions, table)
    result = {
        "accuracy_train": noise.random(),
        "accuracy_validation": noise.random(),
        "label_only_accuracy": 0.4,
        "majority_accuracy": 0.3,
        "chance": 0.2,
        "epochs": _EPOCHS,
        "duration_s": 100.0,
    }
    # Not through write_text: syncing thousands of small files would take longer than all that is measured.
    directory.settings.write_text(
        json.dumps({"trial": trial.trial.model_dump(mode="json"), "data": {}}), encoding="utf-8"
    )
    directory.result.write_text(json.dumps(result), encoding="utf-8")


def main() -> None:
    """Measure and report."""
    with stage("tables", __doc__) as this:
        trials = 100 if this.quick else 2000
        run = finished_run(trials)
        for command in ("results", "status"):
            seconds, processor = programs.repeat(_ROUNDS, "deepemotion-launch", command, run)
            this.seconds(f"deepemotion-launch {command}, {trials:,} trials", seconds, at_most(3), processor)


if __name__ == "__main__":
    main()
