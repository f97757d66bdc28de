"""Trainings on a control: the same volumes, labels and splits as of the brain, and features in place of its voxels."""

import pandas as pd
import pytest
import torch
from small_training import trial

from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.models import registry
from deepemotion.subject_file.folder import open_subjects
from deepemotion.training.loop import train
from deepemotion.training.trial_data import TrialData
from deepemotion.training.trial_directory import TrialDirectory

CPU = torch.device("cpu")
RUN = ("split.protocol=run", "split.fold=2")


def data_of(packed, labels, *changes):
    wanted = trial("model.name=linear", *RUN, *changes, subjects=("01", "02"), unseen=("03",))
    with open_subjects(packed, wanted.all_subjects) as files:
        return TrialData.load(wanted, files, Labels.read(labels), CPU, print, None)


@pytest.mark.parametrize(
    ("change", "name"), [("data.permutation=0", "time"), ("data.permutation=7", "time"), ("data.lag_s=6", "stimulus")]
)
def test_a_control_has_the_volumes_labels_and_sides_of_the_brain(tiny_packed, tiny_labels, change, name):
    brain = data_of(tiny_packed, tiny_labels, change)
    control = data_of(tiny_packed, tiny_labels, change, f"data.control={name}")
    pd.testing.assert_frame_equal(columns(control), columns(brain))
    for side, rows in brain.sides.items():
        assert control.sides[side].tolist() == rows.tolist()


def columns(data):
    table = data.samples.table
    names = ("subject", "run", "index_in_run", "movie_time", "true_time", "label")
    return pd.DataFrame({name: getattr(table, name) for name in names})


def test_time_is_the_position_in_run_and_film_from_minus_one_to_one(tiny_packed, tiny_labels):
    samples = data_of(tiny_packed, tiny_labels, "data.control=time").samples
    features = samples.dense(torch.arange(len(samples))).flatten(1)
    of_run, of_film = features[:, 0], features[:, 3]
    assert features.shape[1] == 6
    assert features.abs().max() <= 1
    first_run = (samples.table.run == 1) & (samples.table.subject == "01")
    assert (torch.diff(of_run[first_run]) > 0).all()
    # The third Legendre polynomial.
    torch.testing.assert_close(features[:, 2], (5 * of_run**3 - 3 * of_run) / 2)
    torch.testing.assert_close(features[:, 5], (5 * of_film**3 - 3 * of_film) / 2)


@pytest.mark.parametrize(
    ("model", "control"),
    [("linear", "time"), ("mlp", "time"), ("mlp", "stimulus"), ("linear", "motion"), ("linear", "global-signal")],
)
def test_a_control_trains_and_predicts_every_volume(tiny_packed, tiny_labels, tmp_path, model, control):
    wanted = trial(f"data.control={control}", f"model.name={model}", *RUN)
    result = train(wanted, tiny_packed, tiny_labels, TrialDirectory(tmp_path / "t"), lambda metrics: None)
    predictions = pd.read_parquet(tmp_path / "t/predictions.parquet")
    assert len(predictions) >= result["n_train"] + result["n_validation"]


def test_a_network_on_volumes_cannot_take_a_control():
    with pytest.raises(UserError, match="are no volume; use one of linear, mlp"):
        registry.require_fit(trial("data.control=time", "model.name=cnn3d"))


def test_a_training_on_a_control_says_what_it_cannot_do(tiny_packed, tiny_labels, command, tmp_path):
    where = (tmp_path / "t", "--data", tiny_packed, "--labels", tiny_labels)
    words = ("--set", "data.control=time", "--set", "model.name=linear", "--set", "augment.shift_voxels=1")
    done = command("deepemotion", "train", "--subjects", "1", *where, *words)
    assert done.returncode == 2
    assert "shifts volumes; use 0" in done.stderr
