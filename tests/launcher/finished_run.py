"""Runs whose trials are made up: each leaves what a finished one does, and nothing is trained."""

import json

import numpy as np
import pandas as pd
import small_plan

from launcher.run.directory import RunDirectory

CLASSES = ("ANGER", "FEAR")
EPOCHS = 3
# Every second volume of four is for validation.
_ROWS = {"run": 1, "index_in_run": range(4), "movie_time": np.arange(4) * 2.0}


def planned(name, subject="01", **settings):
    return small_plan.planned(
        name, f"sub-{subject}", protocol="random", subjects=[subject], train={"epochs": EPOCHS}, **settings
    )


def make(path, trials):
    """Return a run in which all of these trials are done."""
    run = RunDirectory(path)
    run.path.mkdir(parents=True)
    run.add_to_plan(trials)
    run.experiment_file.write_text("plan: {}\n")
    for trial in trials:
        finish(run, trial)
    return run


def finish(run, trial, **changes):
    """Write what a trial leaves that is done; `changes` of its result."""
    directory = run.trial(trial.name)
    metrics = {"loss/train": 1.0, "accuracy/train": 1.0, "accuracy/validation": 0.5}
    directory.write_epochs([{"epoch": epoch, **metrics} for epoch in range(1, EPOCHS + 1)])
    volumes = pd.DataFrame({"subject": trial.subjects[0], **_ROWS})
    volumes["split"] = ["train", "validation"] * 2
    volumes["label"], volumes["prediction"] = ["ANGER"] * 4, ["ANGER", "ANGER", "ANGER", "FEAR"]
    for name in CLASSES:
        volumes[f"p_{name}"] = np.where(volumes["prediction"] == name, 0.9, 0.1).astype(np.float32)
    texts = dict.fromkeys(["subject", "split", "label", "prediction"], "category")
    volumes.astype(texts).to_parquet(directory.predictions)
    result = {"accuracy_train": 1.0, "accuracy_validation": 0.5, "epochs": EPOCHS, "n_train": 2, "n_validation": 2}
    result |= {"label_only_accuracy": 0.5, "majority_accuracy": 0.5, "chance": 0.5, "duration_s": 1.0, "n_unseen": 0}
    result |= {"missing": "", "classes": list(CLASSES)}
    directory.result.write_text(json.dumps(result | changes))
