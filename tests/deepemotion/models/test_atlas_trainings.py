"""Trainings on the regions of an atlas: its content is part of them, and it has to lie where the volumes do."""

import numpy as np
import pytest
from atlas_image import slabs, write_atlas

from deepemotion import config_files
from deepemotion.errors import UserError
from deepemotion.settings.schema import make_trial, read_settings
from deepemotion.subject_file.reader import SubjectFile, subject_path
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

pytestmark = pytest.mark.usefixtures("one_thread")


def test_an_atlas_is_cut_as_the_volumes_are(tmp_path, tiny_packed, tiny_labels):
    with SubjectFile(subject_path(tiny_packed, "01")) as file:
        path = write_atlas(tmp_path / "atlas.nii", slabs(file.shape, 5), file.affine)

    def accuracies(crop):
        changes = ["model.name=roi-linear", f"model.atlas={path}", "train.epochs=2", f"data.crop={crop}"]
        trial = make_trial(read_settings(config_files.find("demo"), changes), ["01"], [])
        directory = TrialDirectory(tmp_path / f"crop-{crop}")
        train(trial, tiny_packed, tiny_labels, directory, lambda metrics: None)
        return [{**row, "time/epoch": 0} for row in directory.read_epochs()]

    assert accuracies("true") == accuracies("false")


def test_a_training_belongs_to_its_atlas_s_content(tiny_packed, tiny_labels, tmp_path):
    with SubjectFile(subject_path(tiny_packed, "01")) as file:
        shape, affine = file.shape, file.affine

    def run(path, folder="trial"):
        changes = ["model.name=roi-linear", f"model.atlas={path}", "train.epochs=1", "data.drop_overlaps=false"]
        trial = make_trial(read_settings(config_files.find("demo"), changes), ["01", "02"], [])
        directory = TrialDirectory(tmp_path / folder)
        train(trial, tiny_packed, tiny_labels, directory, lambda metrics: None)
        return directory

    one = write_atlas(tmp_path / "one.nii", slabs(shape, 5), affine)
    directory = run(one)
    assert "roi-linear: 5 of 5 regions" in directory.log_file.read_text()
    moved = one.rename(tmp_path / "moved.nii")
    run(moved)
    assert directory.read_json(directory.settings)["trial"]["model"]["atlas"] == str(moved)
    with pytest.raises(UserError, match=r"differs in data\.atlas"):
        run(write_atlas(moved, slabs(shape, 4), affine))


def trained(tmp_path, tiny_packed, tiny_labels, region, *changes):
    """Train on the regions of an atlas, and return what the trial's log says of them."""
    with SubjectFile(subject_path(tiny_packed, "01")) as file:
        path = write_atlas(tmp_path / "atlas.nii", region, file.affine)
    overrides = ["train.epochs=1", "data.drop_overlaps=false", "model.name=roi-linear", f"model.atlas={path}", *changes]
    directory = TrialDirectory(tmp_path / "t")
    settings = make_trial(read_settings(config_files.find("demo"), overrides), ["01"], [])
    train(settings, tiny_packed, tiny_labels, directory, lambda metrics: None)
    return next(line for line in directory.log_file.read_text().splitlines() if "roi-linear: " in line)


def mask_of(packed):
    with SubjectFile(subject_path(packed, "01")) as file:
        return file.mask


@pytest.mark.parametrize("crop", ["true", "false"])
def test_an_atlas_outside_the_mask_is_refused_with_its_regions(tmp_path, tiny_packed, tiny_labels, crop):
    mask = mask_of(tiny_packed)
    assert not mask.all()
    region = np.where(mask, 0, 7)
    region[np.unravel_index(np.flatnonzero(~mask)[0], mask.shape)] = 9
    with pytest.raises(
        UserError, match=r"atlas\.nii: no region .* has a voxel in the mask: 7, 9; give one that covers"
    ):
        trained(tmp_path, tiny_packed, tiny_labels, region, f"data.crop={crop}")
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("crop", ["true", "false"])
def test_an_atlas_partly_outside_the_mask_says_what_remains(tmp_path, tiny_packed, tiny_labels, crop):
    mask = mask_of(tiny_packed)
    region = np.where(mask, 3, 7)
    inside = int(mask.sum())
    said = trained(tmp_path, tiny_packed, tiny_labels, region, f"data.crop={crop}")
    assert f"1 of 2 regions ({inside} of {mask.size} voxels of the atlas are in the mask)" in said
    assert said.endswith("left out, since no voxel in the mask varies: 7")
