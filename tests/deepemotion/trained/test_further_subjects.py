"""A finished model on further subjects: the same as if they had been named as unseen when it was trained."""

import shutil

import numpy as np
import pandas as pd
import pytest
from nifti_dataset import edited

from deepemotion import config_files
from deepemotion.errors import UserError
from deepemotion.settings.schema import make_trial, read_settings
from deepemotion.subject_file.reader import subject_path
from deepemotion.trained import further_subjects
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

BLOCKS = ("split.protocol=block", "split.fold=1", "split.folds=2", "split.block_s=40", "split.gap_s=4")


def trained(folder, packed, labels, unseen=(), changes=()):
    settings = read_settings(config_files.find("demo"), ["train.epochs=2", "data.drop_overlaps=false", *changes])
    directory = TrialDirectory(folder)
    train(make_trial(settings, ["01"], list(unseen)), packed, labels, directory, lambda metrics: None)
    return directory


@pytest.mark.parametrize("changes", [(), BLOCKS, ("data.crop=true",)])
def test_further_subjects_score_as_if_they_had_been_named(tiny_packed, tiny_labels, tmp_path, changes):
    named = trained(tmp_path / "named", tiny_packed, tiny_labels, ["02"], changes)
    alone = trained(tmp_path / "alone", tiny_packed, tiny_labels, (), changes)
    (one,), table = further_subjects.evaluate(alone, tiny_packed, tiny_labels, ["02"])
    expected = pd.read_parquet(named.predictions).query("split == 'unseen'").reset_index(drop=True)
    found = table.to_pandas()
    for column in ("run", "index_in_run", "label", "prediction"):
        assert found[column].astype(str).tolist() == expected[column].astype(str).tolist()
    np.testing.assert_allclose(found.filter(like="p_"), expected.filter(like="p_"), rtol=1e-4)
    result = named.read_json(named.result)
    assert one.scores["accuracy_unseen"] == result["accuracy_unseen"]
    assert one.audit.label_only == result["label_only_accuracy_unseen"]
    assert one.audit.majority == result["majority_accuracy_unseen"]


def test_the_command_tells_and_leaves_the_predictions(command, tiny_packed, tiny_labels, tmp_path):
    directory = trained(tmp_path / "t", tiny_packed, tiny_labels)
    out = tmp_path / "predictions.parquet"
    where = ["--data", tiny_packed, "--labels", tiny_labels]
    done = command("deepemotion", "evaluate", directory.path, *where, "--subjects", "2,3", "--out", out)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["subject", "sub-02", "sub-03"]
    assert set(pd.read_parquet(out)["subject"].astype(str)) == {"02", "03"}
    refused = command("deepemotion", "evaluate", directory.path, *where, "--subjects", "1")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "sub-01 is part of this training" in refused.stderr


def test_a_subject_without_the_model_s_voxels_is_refused(tiny_packed, tiny_labels, tmp_path):
    directory = trained(tmp_path / "t", tiny_packed, tiny_labels)
    for subject in ("01", "02"):
        shutil.copy(subject_path(tiny_packed, subject), tmp_path)
    with edited(subject_path(tmp_path, "02")) as file:
        mask = file["mask"][()]
        mask[tuple(np.argwhere(~mask)[0])] = True
        mask[tuple(np.argwhere(mask)[-1])] = False
        file["mask"][...] = mask
    with pytest.raises(UserError, match=r"sub-02\.h5: its mask lacks 1 of the voxels"):
        further_subjects.evaluate(directory, tmp_path, tiny_labels, ["02"])


def test_only_the_model_s_own_data_and_last_epoch_will_do(tiny_packed, tiny_labels, tmp_path):
    directory = trained(tmp_path / "t", tiny_packed, tiny_labels)
    other = tmp_path / "packed"
    other.mkdir()
    for subject in ("01", "02"):
        shutil.copy(subject_path(tiny_packed, subject), other)
    with edited(subject_path(other, "01")) as file:
        file["affine"][0, 3] += 1e-6
    with pytest.raises(UserError, match="sub-01 is not what it was trained on"):
        further_subjects.evaluate(directory, other, tiny_labels, ["02"])
    last = directory.checkpoints / "last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(
        UserError, match=r"the last epoch cannot be read \(last\.pt: .*\); delete result\.json and train again"
    ):
        further_subjects.evaluate(directory, tiny_packed, tiny_labels, ["02"])
