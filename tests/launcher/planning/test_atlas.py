"""An atlas in the plan: its content decides which trials are the same, and a wrong one ends a launch at once."""

import nibabel
import numpy as np
import pytest

from deepemotion import config_files
from deepemotion.errors import UserError
from deepemotion.subject_file.reader import SubjectFile, subject_path
from launcher.planning import data_facts, experiment
from launcher.planning.plan import make_plan

SMALL = ["train.epochs=2", "data.drop_overlaps=false"]


@pytest.fixture
def plan(tiny_packed, tiny_labels):
    """Return a function that plans subject 01's trials with some settings and sweeps."""

    def made(*overrides, **sweeps):
        sweeps = {key.replace("__", "."): value for key, value in sweeps.items()}
        changes = {"subjects": ["01"]}
        wanted = experiment.read(config_files.find("demo"), [*SMALL, *overrides], changes, sweeps)
        facts, _ = data_facts.read(tiny_packed, tiny_labels, wanted)
        return make_plan(wanted, facts)

    return made


@pytest.fixture
def atlas(tiny_packed, tmp_path, monkeypatch):
    """Return a function that writes an atlas of the tiny dataset's grid into the working directory."""
    monkeypatch.chdir(tmp_path)
    with SubjectFile(subject_path(tiny_packed, "01")) as file:
        shape, affine = file.shape, file.affine

    def write(name="atlas.nii", regions=4, affine=affine, shape=shape):
        region = np.arange(np.prod(shape)).reshape(shape) % (regions + 1)
        nibabel.save(nibabel.Nifti1Image(region.astype(np.int16), affine), tmp_path / name)
        return name

    return write


def test_a_trial_is_told_by_the_atlas_s_content_and_finds_it_from_anywhere(plan, atlas, tmp_path):
    (one,) = plan("model.name=roi-linear", f"model.atlas={atlas('a.nii')}")
    (moved,) = plan("model.name=roi-linear", f"model.atlas={atlas('b.nii')}")
    (other,) = plan("model.name=roi-linear", f"model.atlas={atlas('a.nii', regions=5)}")
    assert one.name == moved.name != other.name
    assert one.trial.model.atlas == str(tmp_path / "a.nii")
    assert moved.trial.model.atlas == str(tmp_path / "b.nii")


def test_atlases_and_models_can_be_swept(plan, atlas):
    names = [atlas("coarse.nii", 3), atlas("fine.nii", 9)]
    trials = plan(model__name=["cnn3d", "roi-linear"], model__atlas=names)
    assert len({trial.name for trial in trials}) == 4
    assert len({trial.condition for trial in trials}) == 4


def test_wrong_atlases_end_a_launch_before_it_begins(plan, atlas):
    with pytest.raises(UserError, match=r"roi-linear needs model\.atlas"):
        plan("model.name=roi-linear")
    with pytest.raises(UserError, match=r"nowhere\.nii: cannot read the atlas"):
        plan("model.atlas=nowhere.nii")
    with pytest.raises(UserError, match="another affine"):
        plan(f"model.atlas={atlas(affine=np.diag([3, 3, 3, 1]))}")
    with pytest.raises(UserError, match="shape"):
        plan(f"model.atlas={atlas(shape=(4, 5, 6))}")
    with pytest.raises(UserError, match=r"atlas"):
        plan(model__atlas=[3])
