"""Models compared in one launch, as a user compares them: one table, a condition a model."""

import nibabel
import numpy as np
import pandas as pd
import pytest

from deepemotion.subject_file.reader import SubjectFile, subject_path
from launcher.run.directory import RunDirectory

pytestmark = pytest.mark.slow

MODELS = ("cnn3d", "resnet3d-10", "c3d", "linear")
QUICK = ("--config", "demo", "--set", "train.epochs=2", "--set", "data.drop_overlaps=false")


def test_four_models_make_one_table_with_four_conditions(command, tiny_packed, tiny_labels, tmp_path):
    where = ("--data", tiny_packed, "--labels", tiny_labels, "--runs", tmp_path / "runs", "--name", "models")
    done = command("deepemotion-launch", "--subjects", "1,2", "--model", ",".join(MODELS), *where, *QUICK)
    assert done.returncode == 0, done.stderr
    run = RunDirectory(tmp_path / "runs" / "models")
    trials = pd.read_parquet(run.tables / "trials.parquet")
    assert set(trials["state"]) == {"done"}
    assert trials["condition"].value_counts().to_dict() == {f"lr-0.001_model.name-{name}": 3 for name in MODELS}
    assert trials["accuracy_validation"].between(0, 1).all()
    # All of them were asked the same questions.
    assert (
        trials.groupby("training_set")[["n_train", "n_validation", "label_only_accuracy"]]
        .nunique()
        .eq(1)
        .all(axis=None)
    )
    shown = command("deepemotion-launch", "results", run.path)
    assert shown.returncode == 0, shown.stderr
    conditions, _, _ = shown.stdout.partition("Best condition of each model")
    assert all(f"lr-0.001_model.name-{name}" in conditions for name in MODELS)


def test_regions_of_an_atlas_with_shares_and_weights(command, tiny_packed, tiny_labels, tmp_path):
    with SubjectFile(subject_path(tiny_packed, "01")) as file:
        slabs = np.broadcast_to((1 + np.arange(file.shape[1]) // 2)[:, None], file.shape).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(slabs, file.affine), tmp_path / "atlas.nii.gz")
    where = ("--data", tiny_packed, "--labels", tiny_labels, "--runs", "runs", "--name", "regions")
    options = (
        *("--set", "model.atlas=atlas.nii.gz", "--set", "train.class_weights=balanced"),
        *("--set", "train.weight_decay=0.01", "--sweep", "train.loss=cross-entropy,soft"),
    )
    words = ("--subjects", "1", "--model", "roi-linear", *where, *QUICK, *options)
    done = command("deepemotion-launch", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = RunDirectory(tmp_path / "runs" / "regions")
    trials = pd.read_parquet(run.tables / "trials.parquet")
    assert trials["state"].tolist() == ["done", "done"]
    for name in trials["trial"]:
        assert "7 of 7 regions" in run.trial(name).log_file.read_text()
    again = command("deepemotion-launch", *words, cwd=tmp_path)
    assert "2 done, 0 failed" in again.stderr
