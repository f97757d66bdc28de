"""Training: it learns, is deterministic, and refuses what it cannot do."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_training import SMALL, comparable, finish, trial

from deepemotion import config_files
from deepemotion.errors import UserError
from deepemotion.settings.schema import read_settings
from deepemotion.training.data_sources import Sources
from deepemotion.training.device import choose_device, choose_precision
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory


@pytest.fixture(scope="module")
def straight(tiny_packed, tiny_labels, tmp_path_factory):
    """A training of 6 epochs without interruption."""
    directory = TrialDirectory(tmp_path_factory.mktemp("straight") / "trial")
    seen = []
    result = train(trial(unseen=["02"]), tiny_packed, tiny_labels, directory, seen.append)
    return directory, result, seen


def test_it_learns_the_planted_signal(straight):
    _, result, seen = straight
    assert [metrics["epoch"] for metrics in seen] == [1, 2, 3, 4, 5, 6]
    assert seen[-1]["loss/train"] < 0.7 * seen[0]["loss/train"]
    assert result["accuracy_train"] > 0.7
    assert result["accuracy_validation"] > result["chance"]


def test_predictions_cover_every_labelled_volume_and_agree_with_the_result(straight):
    directory, result, _ = straight
    table = pd.read_parquet(directory.predictions)
    assert table["split"].value_counts().to_dict() == {
        "train": result["n_train"],
        "validation": result["n_validation"],
        "unseen": result["n_unseen"],
    }
    assert set(table.loc[table["split"] == "unseen", "subject"]) == {"02"}
    right = table["label"].astype(str) == table["prediction"].astype(str)
    for side in ("train", "validation", "unseen"):
        assert right[table["split"] == side].mean() == pytest.approx(result[f"accuracy_{side}"])
    for emotion, rows in table[table["split"] == "validation"].groupby("label", observed=True):
        assert right[rows.index].mean() == pytest.approx(result[f"accuracy_validation_{emotion}"])
    probabilities = table[[column for column in table.columns if column.startswith("p_")]]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert (table["observers_right"] <= table["observers_compared"] + 1e-4).all()
    assert table["observers_compared"].max() > 1


def test_the_label_only_audit_is_stored(straight):
    directory, _, _ = straight
    stored = json.loads(directory.result.read_text())
    assert 0 <= stored["label_only_accuracy"] <= 1
    assert 0 <= stored["majority_accuracy"] <= 1
    assert stored["chance"] == 0.2


def test_equal_trials_give_equal_metrics_and_another_seed_does_not(straight, tiny_packed, tiny_labels, tmp_path):
    directory, _, _ = straight
    train(trial(unseen=["02"]), tiny_packed, tiny_labels, TrialDirectory(tmp_path / "again"), lambda metrics: None)
    assert comparable(tmp_path / "again") == comparable(directory.path)
    train(trial("train.seed=1"), tiny_packed, tiny_labels, TrialDirectory(tmp_path / "other"), lambda metrics: None)
    assert comparable(tmp_path / "other") != comparable(directory.path)


def test_a_finished_training_is_not_repeated(straight, tiny_packed, tiny_labels):
    directory, result, _ = straight
    before = directory.result.stat().st_mtime_ns
    again = train(trial(unseen=["02"]), tiny_packed, tiny_labels, directory, lambda metrics: pytest.fail("trained"))
    assert again["accuracy_validation"] == result["accuracy_validation"]
    assert directory.result.stat().st_mtime_ns == before


def test_a_folder_of_another_training_is_refused(straight, tiny_packed, tiny_labels):
    directory, _, _ = straight
    with pytest.raises(UserError, match=r"differs in trial\.train\.learning_rate; choose another folder"):
        train(trial("train.learning_rate=0.1", unseen=["02"]), tiny_packed, tiny_labels, directory, print)


def test_leaving_a_run_out_validates_on_that_run(tiny_packed, tiny_labels, tmp_path):
    directory = TrialDirectory(tmp_path / "trial")
    overrides = ("split.protocol=run", "split.fold=3", "train.epochs=1")
    train(trial(*overrides, subjects=["01", "02"]), tiny_packed, tiny_labels, directory, lambda metrics: None)
    table = pd.read_parquet(directory.predictions)
    assert set(table.loc[table["split"] == "validation", "run"]) == {3}
    assert 3 not in set(table.loc[table["split"] == "train", "run"])


def test_the_best_epoch_is_kept(straight):
    directory, result, seen = straight
    best = torch.load(directory.checkpoints / "best.pt", weights_only=True)
    assert best["epoch"] == result["best_epoch"]
    accuracies = [metrics["accuracy/validation"] for metrics in seen]
    assert accuracies[best["epoch"] - 1] == max(accuracies)


def test_device_and_precision_follow_what_there_is(monkeypatch):
    settings = read_settings(config_files.find("paper"), []).train
    assert choose_device(settings).type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_precision(settings, torch.device("cpu")) is torch.float32
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert choose_device(settings).type == "cuda"
    assert choose_precision(settings, torch.device("cuda")) is torch.bfloat16


def test_the_command_trains_tells_and_resumes(command, straight, tiny_packed, tiny_labels, tmp_path):
    directory, result, _ = straight
    words = ["train", tmp_path / "trial", "--data", tiny_packed, "--labels", tiny_labels, "--config", "demo"]
    words += ["--subjects", "1", "--unseen", "2", *(word for text in SMALL for word in ("--set", text))]
    done = command("deepemotion", *words)
    assert done.returncode == 0, done.stderr
    assert f"validation accuracy {100 * result['accuracy_validation']:.1f} % (labels alone" in done.stdout
    assert "epoch   6/6" in done.stderr
    assert comparable(tmp_path / "trial") == comparable(directory.path)


def test_an_interrupted_command_says_how_to_resume(tiny_packed, tiny_labels, tmp_path):
    program = Path(sys.executable).with_name("deepemotion")
    words = [program, "train", tmp_path / "my trial", "--data", tiny_packed, "--labels", tiny_labels, "--subjects", "1"]
    with subprocess.Popen(list(map(str, words)), stderr=subprocess.PIPE, text=True) as process:
        said = process.stderr.readline()
        assert said.startswith("epoch   1/50"), said
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert f"to resume:   deepemotion train '{tmp_path}/my trial' --data" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--data", "nowhere"), "nowhere"),
        (("--labels", "nowhere.tsv"), "nowhere.tsv"),
        (("--subjects", "7"), "sub-07.h5"),
        (("--set", "train.epochs=none"), "train.epochs"),
        (("--set", "train.seed=20240101123456"), "train.seed"),
        (("--set", "split.seed=-1"), "split.seed"),
        (("--set", "model.name=vit"), "available are cnn3d"),
        (("--set", "split.fold=2"), "split.protocol=random has no folds"),
    ],
)
def test_bad_input_is_one_line_without_heavy_imports(refusal, tiny_packed, tiny_labels, tmp_path, change, message):
    words = {"--data": tiny_packed, "--labels": tiny_labels, "--subjects": "1", change[0]: change[1]}
    said = refusal("deepemotion.cli", "train", tmp_path / "trial", *(part for pair in words.items() for part in pair))
    assert message in said
    assert not (tmp_path / "trial").exists()


def test_what_cannot_be_explained_is_told_without_heavy_imports(refusal, tiny_packed, tiny_labels, tmp_path):
    words = {"--data": tiny_packed, "--labels": tiny_labels, "--out": tmp_path / "out"}

    def explained(**changes):
        options = {**words, **{f"--{name}": value for name, value in changes.items()}}
        return refusal("deepemotion.cli", "explain", tmp_path, *(part for pair in options.items() for part in pair))

    directory = TrialDirectory(tmp_path)
    assert "no training here" in explained()
    directory.claim(trial(), {})
    assert "this training is not done" in explained()
    finish(directory)
    assert "nope: no such folder" in explained(data="nope")
    assert "nope.tsv: cannot read the labels" in explained(labels="nope.tsv")
    assert "give --data, --labels and --out" in refusal("deepemotion.cli", "explain", tmp_path, "--data", tiny_packed)


def test_a_trial_of_a_run_is_found_by_the_beginning_of_its_name(refusal, tiny_packed, tiny_labels, tmp_path):
    def explained(beginning):
        return refusal("deepemotion.cli", "explain", tmp_path, "--trial", beginning)

    assert "no run here" in explained("sub-01")
    for name in ("sub-01_lr-0.001", "sub-02_lr-0.001", "sub-02_lr-0.0001"):
        TrialDirectory(tmp_path / "trials" / name).claim(trial(), {})
    assert "2 trials begin with it: sub-02_lr-0.0001, sub-02_lr-0.001" in explained("sub-02")
    assert "sub-02_lr-0.001: this training is not done" in explained("sub-02_lr-0.001")
    assert "sub-01_lr-0.001: this training is not done" in explained("sub-01")
    assert "choose one of its trials with --trial" in refusal("deepemotion.cli", "explain", tmp_path)
    assert "pooled: no such trial; the trials that have started are in" in explained("pooled")
    finish(TrialDirectory(tmp_path / "trials" / "sub-01_lr-0.001"))
    assert "sources.json: missing" in explained("sub-01")
    (tmp_path / "sources.json").write_text('{"labels": "labels.tsv"}')
    assert "sources.json: cannot be read (no 'packed')" in explained("sub-01")
    Sources(tiny_packed / "gone", tiny_labels).write(tmp_path)
    assert "gone: no such folder" in explained("sub-01")


def test_a_gpu_that_is_not_there_leaves_no_folder_behind(command, tiny_packed, tiny_labels, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    words = ("train", tmp_path / "trial", "--data", tiny_packed, "--labels", tiny_labels, "--subjects", "1")
    done = command("deepemotion", *words, "--set", "train.device=cuda")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "train.device=cuda: there is no GPU" in done.stderr
    assert not (tmp_path / "trial").exists()


def test_a_refused_training_leaves_no_folder_that_binds_the_next_one(tiny_packed, tiny_labels, tmp_path):
    directory = TrialDirectory(tmp_path / "t")
    for refused in (("split.protocol=run",), ("split.protocol=run", "split.fold=9")):
        with pytest.raises(UserError, match=r"split\."):
            train(trial(*refused), tiny_packed, tiny_labels, directory, lambda metrics: None)
        assert not directory.path.exists()
    # Of half the sides, volumes are too small for the network.
    with pytest.raises(UserError, match="too small"):
        train(trial("data.downsample=2"), tiny_packed, tiny_labels, directory, lambda metrics: None)
    assert not directory.path.exists()


def test_a_full_disk_is_one_line(tiny_packed, tiny_labels, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", small], check=False)
    if mounted.returncode:
        pytest.skip("mounting a small file system takes root")
    try:
        with pytest.raises(UserError, match=r"cannot write: "):
            train(trial(), tiny_packed, tiny_labels, TrialDirectory(small / "t"), lambda metrics: None)
        assert not list(small.glob("t/**/.partial-*"))
    finally:
        subprocess.run(["umount", small], check=True)
