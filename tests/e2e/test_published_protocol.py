"""The published protocol on files with the real names, volume counts and annotations (and simulated voxels)."""

import json

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

VOLUMES = "451,441,438,488,462,439,542,338"


def test_the_published_split_comes_out_of_the_whole_pipeline(command, shared_annotations, tmp_path):
    dataset, packed, labels = tmp_path / "ds000113", tmp_path / "packed", tmp_path / "labels.tsv"
    steps = [
        ("simulate", dataset, "--subjects", "1", "--shape", "12,14,10", "--volumes-per-run", VOLUMES),
        ("label", "--annotations", shared_annotations, "--dataset", "studyforrest", "--rule", "paper", "--out", labels),
        ("pack", dataset, "--dataset", "studyforrest", "--subjects", "1", "--out", packed),
        ("train", tmp_path / "trial", "--data", packed, "--labels", labels, "--subjects", "1", "--config", "paper"),
    ]
    for step in steps:
        options = ("--set", "train.epochs=1") if step[0] == "train" else ()
        done = command("deepemotion", *step, *options)
        assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "trial" / "result.json").read_text())
    assert (result["n_train"], result["n_validation"]) == (639, 160)
    assert result["label_only_accuracy"] == 157 / 160
    predictions = pd.read_parquet(tmp_path / "trial" / "predictions.parquet")
    counts = predictions.loc[predictions["split"] == "validation", "label"].astype(str).value_counts().to_dict()
    assert counts == {"HAPPINESS": 49, "SADNESS": 44, "FEAR": 30, "LOVE": 19, "ANGER": 18}
