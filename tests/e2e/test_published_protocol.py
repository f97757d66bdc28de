"""The README's lines from raw data to a report, on files with the real names, volume counts and annotations.

Two subjects of simulated voxels, in small and for one epoch, stand for nineteen real ones.
"""

import json

import pandas as pd
import pytest

from launcher.run.directory import RunDirectory

pytestmark = pytest.mark.slow

VOLUMES = "451,441,438,488,462,439,542,338"


@pytest.fixture(scope="module")
def run(command, shared_annotations, tmp_path_factory):
    """Return the run that the lines made, after the report."""
    folder = tmp_path_factory.mktemp("published")
    dataset, packed, labels, runs = (folder / name for name in ("ds000113", "packed", "labels.tsv", "runs"))
    simulated = ("--subjects", "2", "--shape", "12,14,10", "--volumes-per-run", VOLUMES)
    where = ("--config", "paper", "--data", packed, "--labels", labels, "--runs", runs, "--name", "paper")
    lines = [
        ("deepemotion", "simulate", dataset, *simulated),
        ("deepemotion", "label", "--annotations", shared_annotations, "--dataset", "studyforrest", "--rule", "paper"),
        ("deepemotion", "pack", dataset, "--dataset", "studyforrest", "--out", packed),
        ("deepemotion-launch", "--all-subjects", *where),
        ("deepemotion-launch", "report", runs / "paper"),
    ]
    in_small = {
        "label": ("--out", labels),
        "pack": ("--subjects", "1,2"),
        "--all-subjects": ("--set", "train.epochs=1"),
    }
    for line in lines:
        done = command(*line, *in_small.get(line[1], ()))
        assert done.returncode == 0, done.stderr
    return RunDirectory(runs / "paper")


def test_the_plan_is_the_main_job(run):
    trials = pd.read_parquet(run.tables / "trials.parquet")
    assert sorted(trials["training_set"]) == ["pooled", "sub-01", "sub-02"]
    assert set(trials["state"]) == {"done"}


def test_the_published_split_comes_out_of_the_whole_pipeline(run):
    name = next(trial.name for trial in run.read_plan() if trial.training_set == "sub-01")
    result = json.loads(run.trial(name).result.read_text())
    assert (result["n_train"], result["n_validation"]) == (639, 160)
    assert result["label_only_accuracy"] == 157 / 160
    predictions = pd.read_parquet(run.trial(name).predictions)
    counts = predictions.loc[predictions["split"] == "validation", "label"].astype(str).value_counts().to_dict()
    assert counts == {"HAPPINESS": 49, "SADNESS": 44, "FEAR": 30, "LOVE": 19, "ANGER": 18}


def test_the_report_puts_the_labels_beside_the_accuracies(run):
    html = run.report.read_text(encoding="utf-8")
    assert "98.1" in html
    assert "pooled" in html
