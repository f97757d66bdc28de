"""A launch takes only subjects and labels that belong together, and says so before anything is written."""

import shutil

import numpy as np
import pytest
from nifti_dataset import edited

from deepemotion import config_files
from deepemotion.errors import UserError
from launcher.planning import data_facts, experiment
from launcher.planning.plan import make_plan


@pytest.fixture
def packed(tiny_packed, tmp_path):
    """Return a copy of the tiny dataset's first two subjects."""
    for subject in ("01", "02"):
        shutil.copy(tiny_packed / f"sub-{subject}.h5", tmp_path)
    return tmp_path


@pytest.fixture
def plan(packed, tiny_labels):
    """Return a function that plans the demo on the copy."""

    def made(labels=tiny_labels, overrides=(), **changes):
        wanted = experiment.read(config_files.find("demo"), list(overrides), changes, {})
        facts, _ = data_facts.read(packed, labels, wanted)
        return make_plan(wanted, facts)

    return made


def test_a_subject_of_another_dataset_is_refused_unless_it_is_left_out(packed, plan):
    with edited(packed / "sub-02.h5") as file:
        file.attrs["dataset"] = "theirs"
    with pytest.raises(UserError, match=r"sub-02\.h5: packed subject of dataset theirs, but .*sub-01\.h5 of simulated"):
        plan()
    assert [trial.training_set for trial in plan(subjects=["01"])] == ["sub-01"]
    with pytest.raises(UserError, match=r"labels\.tsv: labels of dataset simulated, but .*sub-02\.h5 is of theirs"):
        plan(subjects=["02"])


def test_a_subject_on_another_grid_can_be_trained_alone_only(packed, plan):
    with edited(packed / "sub-02.h5") as file:
        file["affine"][...] = np.diag([2.0, 2, 2, 1])
    with pytest.raises(UserError, match=r"sub-02\.h5: its affine is not that of .*sub-01\.h5"):
        plan()
    with pytest.raises(UserError, match="its affine"):
        plan(single_subject=False, pooled=False, leave_one_subject_out=True)
    assert {trial.training_set for trial in plan(pooled=False)} == {"sub-01", "sub-02"}


def test_masks_without_a_common_voxel_are_refused_before_the_pooled_trial(packed, plan):
    for subject, start in (("01", 0), ("02", 1)):
        with edited(packed / f"sub-{subject}.h5") as file:
            mask = file["mask"][()]
            order = np.argwhere(mask | True)[start::2][: int(mask.sum())]
            mask[...] = False
            mask[tuple(order.T)] = True
            file["mask"][...] = mask
    with pytest.raises(UserError, match="the masks of subjects 01, 02 share no voxel"):
        plan()


def test_labels_of_another_film_are_refused(plan, tiny_labels, tmp_path):
    lines = tiny_labels.read_text().splitlines(keepends=True)
    short = tmp_path / "short.tsv"
    short.write_text("".join("\t".join(line.split("\t")[:-3]) + "\n" for line in lines[: len(lines) // 2]))
    with pytest.raises(UserError, match=r"short\.tsv: labels from 0 to .*, but the film of .*sub-01\.h5"):
        plan(short)
    other = tmp_path / "other.tsv"
    other.write_text("".join(lines).replace("\tsimulated\t", "\ttheirs\t"))
    with pytest.raises(UserError, match=r"other\.tsv: labels of dataset theirs, but .*sub-01\.h5 is of simulated"):
        plan(other)


def test_there_are_no_more_folds_than_blocks_of_the_film(plan):
    few = ["split.protocol=block", "split.block_s=40"]
    assert len({trial.fold for trial in plan(overrides=[*few, "split.folds=4"])}) == 4
    with pytest.raises(UserError, match=r"split\.folds=500: the film has only \d+ blocks of split\.block_s=40 s"):
        plan(overrides=[*few, "split.folds=500"])


def test_a_plan_beyond_all_reason_is_refused_at_once(plan):
    with pytest.raises(UserError, match="the plan has at least 300003 trials"):
        plan(permutations=100_000)
