"""A permutation test as a user runs it: whole commands, real Ray, interrupted and resumed."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

LAUNCH = Path(sys.executable).with_name("deepemotion-launch")
# Short runs that overlap nearly whole: blocks and gaps are smaller than those of the real movie, too.
SETTINGS = ("train.epochs=5", "data.drop_overlaps=false", "split.folds=2", "split.block_s=30", "split.gap_s=4")


@pytest.fixture(scope="module")
def tested(tiny_packed, tiny_labels, tmp_path_factory):
    """A run of 2 folds x (1 + 19) trainings that was interrupted once."""
    runs = tmp_path_factory.mktemp("runs")
    words = [LAUNCH, "--subjects", "1", "--no-pooled", "--config", "demo", "--data", tiny_packed]
    words += ["--labels", tiny_labels, "--runs", runs, "--name", "r", "--model", "linear", "--protocol", "block"]
    words += ["--permutations", "19", *(word for setting in SETTINGS for word in ("--set", setting))]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        deadline = time.monotonic() + 240
        while len(list(runs.glob("r/trials/*/result.json"))) < 5:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=240)
    assert process.returncode == 130, said
    early = {path: path.stat().st_mtime_ns for path in runs.glob("r/trials/*/result.json")}
    assert 5 <= len(early) < 40
    again = subprocess.run(words, capture_output=True, text=True, check=False, timeout=900)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in early} == early
    return runs / "r"


def test_a_planted_signal_is_significant_at_one_in_twenty(tested, command):
    done = command("deepemotion-launch", "results", tested)
    assert done.returncode == 0, done.stderr
    (row,) = pd.read_csv(tested / "tables" / "statistics.csv").to_dict("records")
    assert (row["trials"], row["planned"], row["permutations"]) == (2, 2, 19)
    assert row["p"] == row["p_conditions"] == row["p_holm"] == row["p_bh"] == 0.05
    assert row["beats_labels"]
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]
    line = next(line for line in done.stdout.splitlines() if "sub-01" in line and "0.05" in line)
    assert f"{100 * row['accuracy']:.1f} [" in line
    assert "†" not in line
    assert "‡" not in line


def test_permuted_labels_are_the_true_ones_moved_and_their_training_volumes_stay_out(tested):
    trials = pd.read_parquet(tested / "tables" / "trials.parquet")
    assert sorted(trials["permutation"].unique()) == list(range(20))
    assert trials["setup"].nunique() == 1
    predictions = pd.read_parquet(tested / "tables" / "predictions.parquet").astype({"trial": str})
    rows = predictions.merge(trials[["trial", "fold", "permutation"]], on="trial")
    assert set(rows.loc[rows["permutation"] > 0, "split"]) == {"validation"}
    assert set(rows.loc[rows["permutation"] == 0, "split"]) > {"validation", "train"}
    validation = rows[rows["split"] == "validation"].sort_values(["run", "index_in_run"])
    # The two folds together hold each volume once, under every permutation.
    labels = {k: part["label"].astype(str).tolist() for k, part in validation.groupby("permutation")}
    assert len({tuple(label) for label in labels.values()}) == 20
    counts = [part.groupby(["run", "label"], observed=True).size() for _, part in validation.groupby("permutation")]
    assert all(count.equals(counts[0]) for count in counts)


def test_results_of_a_trial_hold_every_metric(tested):
    name = pd.read_parquet(tested / "tables" / "trials.parquet").query("permutation == 0")["trial"].iloc[0]
    result = json.loads((tested / "trials" / name / "result.json").read_text())
    for metric in ("accuracy", "balanced_accuracy", "macro_f1", "ece"):
        assert 0 <= result[f"{metric}_validation"] <= 1
    assert result["accuracy_validation_low"] <= result["accuracy_validation"] <= result["accuracy_validation_high"]
    assert result["classes_missing_train"] == result["classes_missing_validation"] == 0
    assert result["missing"] == ""


def test_without_permutations_the_output_says_that_p_is_empty(tested, command, tmp_path):
    run = tmp_path / "r"
    shutil.copytree(tested, run, ignore=shutil.ignore_patterns("*_perm-*", "tune", "sessions"))
    header, *lines = (run / "plan.tsv").read_text().splitlines()
    kept = [line for line in lines if "_perm-" not in line]
    (run / "plan.tsv").write_text("\n".join([header, *kept]) + "\n")
    done = command("deepemotion-launch", "results", run)
    assert done.returncode == 0, done.stderr
    assert "p is empty since there are no permutations: launch again with --permutations" in done.stdout
    assert "sub-01" in done.stdout
