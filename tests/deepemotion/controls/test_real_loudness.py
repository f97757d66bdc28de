"""Loudness alone decodes the real observers' labels: the figure that a brain has to be compared with."""

import shutil

import pandas as pd
import pytest
import yaml
from small_training import trial

from deepemotion.dataset.description import Dataset
from deepemotion.packing.subject import PackRequest, pack_subject
from deepemotion.settings.control_training import control_settings
from deepemotion.settings.schema import make_trial
from deepemotion.simulation.folder import simulate
from deepemotion.simulation.parameters import Parameters
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

LENGTHS = (451, 441, 438, 488, 462, 439, 542, 338)


@pytest.fixture(scope="module")
def real_film(shared_annotations, command, tmp_path_factory):
    """Return the packed folder of a simulated subject with the real runs and loudness, and the real labels."""
    root = tmp_path_factory.mktemp("film")
    simulate(root / "raw", Parameters(subjects=1, shape=(8, 8, 8), volumes_per_run=LENGTHS), jobs=1)
    description = yaml.safe_load((root / "raw" / "dataset.yaml").read_text())
    source = {"control": "stimulus", "kind": "events", "file": "conf_audio_run-{run}_events.tsv"}
    (root / "raw" / "dataset.yaml").write_text(yaml.safe_dump(description | {"controls": [source]}))
    for run in range(1, 9):
        name = f"conf_audio_run-{run}_events.tsv"
        shutil.copy(shared_annotations.parents[1] / "stimulus" / name, root / "raw" / name)
    pack_subject(PackRequest(Dataset.of_folder(root / "raw"), root / "raw", "01", root / "packed"))
    where = ("--annotations", shared_annotations, "--dataset", root / "raw" / "dataset.yaml")
    done = command("deepemotion", "label", *where, "--rule", "interval", "--observers", "av", "--out", root / "av.tsv")
    assert done.returncode == 0, done.stderr
    return root


@pytest.mark.slow
def test_loudness_decodes_the_observers_labels_with_one_run_left_out(real_film, tmp_path):
    tested = []
    for fold in range(1, 9):
        brain = trial("split.protocol=run", f"split.fold={fold}", "data.drop_overlaps=true")
        wanted = make_trial(control_settings(brain, "stimulus", "linear"), ["01"], [])
        directory = TrialDirectory(tmp_path / str(fold))
        train(wanted, real_film / "packed", real_film / "av.tsv", directory, lambda metrics: None)
        predictions = pd.read_parquet(directory.predictions)
        tested.append(predictions[predictions.split == "validation"])
    whole = pd.concat(tested)
    assert len(whole) == 1530
    correct = (whole.label.astype(str) == whole.prediction.astype(str)).mean()
    assert 0.36 <= correct <= 0.44
