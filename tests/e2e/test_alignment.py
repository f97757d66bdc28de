"""Functional alignment through the launcher: subjects who were not trained on are decoded where brains differ."""

import pandas as pd
import pytest

from deepemotion.simulation.folder import simulate
from deepemotion.simulation.parameters import Parameters
from launcher.run.directory import RunDirectory

pytestmark = pytest.mark.slow

QUICK = ("--set", "train.epochs=8", "--set", "train.learning_rate=0.01", "--set", "split.fold=3")


@pytest.fixture(scope="module")
def differing(command, tmp_path_factory):
    """Five packed subjects whose regions lie far apart, and their labels."""
    folder = tmp_path_factory.mktemp("differing")
    parameters = Parameters(subjects=5, shape=(14, 18, 10), volumes_per_run=40, signal=3.0, idiosyncrasy=1.0, seed=4)
    simulate(folder / "raw", parameters, jobs=1)
    where = ("--annotations", folder / "raw" / "annotations", "--dataset", folder / "raw" / "dataset.yaml")
    words = ("label", *where, "--rule", "interval", "--observers", "av", "--out", folder / "labels.tsv")
    for arguments in (words, ("pack", folder / "raw", "--out", folder / "packed")):
        done = command("deepemotion", *arguments)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def launch(command, differing, tmp_path):
    def run(*words):
        where = ("--data", differing / "packed", "--labels", differing / "labels.tsv", "--runs", tmp_path)
        names = ("--config", "demo", "--model", "linear", "--name", "r")
        return command("deepemotion-launch", *names, *where, *words)

    return run


def test_alignment_lets_models_decode_unseen_subjects(launch, tmp_path):
    done = launch("--all-subjects", "--protocol", "run-subject", *QUICK, "--sweep", "align.method=none,srm,procrustes")
    assert done.returncode == 0, done.stderr
    trials = pd.read_parquet(tmp_path / "r" / "tables" / "trials.parquet")
    assert len(trials) == 15
    assert set(trials["state"]) == {"done"}
    method = trials["condition"].str.extract("align.method-([a-z]+)")[0]
    unseen = trials.groupby(method)["accuracy_unseen"].mean()
    assert unseen["srm"] > unseen["none"] + 0.1
    assert unseen["procrustes"] > unseen["none"] + 0.1
    for name in trials["trial"][method == "srm"]:
        log = (RunDirectory(tmp_path / "r").trial(name).path / "log.txt").read_text()
        assert "srm: 50 features of " in log


def test_under_the_random_split_alignment_is_refused_except_of_one_subject_alone(launch, tmp_path):
    words = ("--subjects", "1,2", "--set", "align.method=srm", "--set", "train.epochs=1")
    done = launch(*words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "under split.protocol=random" in done.stderr
    assert "use run or block" in done.stderr
    assert not (tmp_path / "r").exists()
    done = launch(*words, "--no-pooled")
    assert done.returncode == 0, done.stderr
    trials = pd.read_parquet(tmp_path / "r" / "tables" / "trials.parquet").set_index("training_set")
    assert trials["state"].to_dict() == {"sub-01": "done", "sub-02": "done"}
