"""Finished trainings explained: their answers, and maps against planted networks."""

import numpy as np
import pytest
import torch

from deepemotion.config_files import find
from deepemotion.errors import UserError
from deepemotion.settings.schema import make_trial, read_settings
from deepemotion.trained import explanation, saliency
from deepemotion.trained.brain_space import BrainSpace
from deepemotion.trained.explanation import Options
from deepemotion.trained.trained import load_trained
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory


def trained_on(folder, packed, labels, *changes, subjects=("01",)):
    changes = ["data.drop_overlaps=false", *changes]
    trial = make_trial(read_settings(find("demo"), changes), list(subjects), [])
    directory = TrialDirectory(folder)
    train(trial, packed, labels, directory, lambda metrics: None)
    return directory


def test_what_cannot_be_explained_is_told(tiny_packed, tiny_labels, tmp_path):
    with pytest.raises(UserError, match=r"no training here"):
        load_trained(TrialDirectory(tmp_path), tiny_packed, tiny_labels)
    directory = trained_on(tmp_path / "t", tiny_packed, tiny_labels, "model.name=linear", "train.epochs=1")
    other = tmp_path / "labels.tsv"
    other.write_text(tiny_labels.read_text().replace("FEAR", "DREAD"))
    with pytest.raises(UserError, match="labels is not what it was trained on"):
        load_trained(directory, tiny_packed, other)
    directory.predictions.write_bytes(directory.predictions.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"predictions\.parquet: cannot be read .* train again"):
        load_trained(directory, tiny_packed, tiny_labels)
    directory.result.unlink()
    with pytest.raises(UserError, match="not done"):
        load_trained(directory, tiny_packed, tiny_labels)


ALIGNED = ("align.method=procrustes", "align.features=5", "split.protocol=run", "split.fold=2")


@pytest.mark.parametrize(("subjects", "changes"), [(["01"], ("data.permutation=1",)), (["01", "02"], ALIGNED)])
def test_a_trained_model_answers_as_it_did_at_the_end(tiny_packed, tiny_labels, tmp_path, subjects, changes):
    directory = trained_on(tmp_path / "t", tiny_packed, tiny_labels, "train.epochs=1", *changes, subjects=subjects)
    trained = load_trained(directory, tiny_packed, tiny_labels)
    with torch.inference_mode():
        probability = trained.model(trained.samples.dense(torch.arange(len(trained.samples)))).softmax(dim=1).numpy()
    columns = [f"p_{name}" for name in trained.samples.classes]
    np.testing.assert_allclose(probability, trained.predictions[columns], atol=1e-5)
    # Rows follow the labels trained on, which may be permuted.
    rows = trained.rows("LOVE", ("train", "validation"))
    assert set(trained.predictions["label"].iloc[rows]) == {"LOVE"}
    assert trained.beats_labels in (True, False)


@pytest.mark.parametrize("change", ["data.crop=true", "data.downsample=2"])
def test_maps_of_other_grids_come_out_on_the_packed_one(tiny_packed, tiny_labels, tmp_path, change):
    directory = trained_on(tmp_path / "t", tiny_packed, tiny_labels, change, "model.name=linear", "train.epochs=1")
    trained = load_trained(directory, tiny_packed, tiny_labels)
    space = BrainSpace.of(tiny_packed, "01")
    assert trained.samples.shape != space.mask.shape
    for name, maps in explanation.maps(trained, Options(steps=2, most=1)):
        for one in maps:
            assert one.volume.shape == space.mask.shape
            assert not one.volume[~space.mask].any()
            if name == saliency.INTEGRATED_GRADIENTS:
                assert one.volume[space.mask].any()
    dense = trained.samples.dense(torch.tensor([0]))[0, 0].numpy()
    values = dense.ravel()[trained.samples.grid.voxels]
    back = trained.samples.grid.to_packed(values)
    x, y, z = np.argwhere(space.mask)[7]
    step, origin = trained.samples.grid.step, trained.samples.grid.origin
    assert back[x, y, z] == dense[z // step - origin[2], y // step - origin[1], x // step - origin[0]]


@pytest.mark.slow
def test_maps_find_the_planted_networks_and_those_of_permuted_labels_do_not(
    tiny_dataset, tiny_packed, tiny_labels, tmp_path
):
    found = {}
    for model in ("cnn3d", "linear"):
        for permutation in (0, 1):
            changes = [f"model.name={model}", "train.epochs=15", f"data.permutation={permutation}"]
            directory = trained_on(tmp_path / f"{model}{permutation}", tiny_packed, tiny_labels, *changes)
            trained = load_trained(directory, tiny_packed, tiny_labels)
            options = Options(steps=8, all_volumes=True)
            for name, maps in explanation.maps(trained, options):
                overlaps = [explanation.overlap(one, trained, tiny_dataset / "truth") for one in maps]
                found[model, name, permutation] = float(np.mean(overlaps))
    for model in ("cnn3d", "linear"):
        true, permuted = (found[model, saliency.INTEGRATED_GRADIENTS, k] for k in (0, 1))
        assert true > permuted + 0.05, found
        assert true > 0.6, found
