"""Trainings on voxels that confounds were regressed out of, and everything that uses such a model again."""

import numpy as np
import pandas as pd
import pytest
import torch
from packed_series import write_emotions, write_motion, write_subject

from deepemotion import config_files
from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.scoring import score
from deepemotion.settings.schema import make_trial, read_settings
from deepemotion.subject_file.folder import open_subjects
from deepemotion.subject_file.options import Compression
from deepemotion.trained import further_subjects
from deepemotion.trained.trained import load_trained
from deepemotion.training.checksums import data_checksums
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

LENGTHS = {1: 50, 2: 41, 3: 60, 4: 45}
SHAPE = (5, 5, 4)


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """Three subjects whose head goes with the emotion, whose voxels go with the head, and whose brain does nothing.

    Masks and compression differ. Returns the packed folder and the labels.
    """
    folder, rng = tmp_path_factory.mktemp("moving"), np.random.default_rng(11)
    emotion = np.repeat(rng.permuted(np.tile([0, 1, 2], 20)), 4)[: sum(LENGTHS.values())]
    postures = np.array([[3, 0], [-2, 2], [-1, -3]])
    ends = np.cumsum(list(LENGTHS.values()))
    for subject, share in (("01", 1.0), ("02", 0.8), ("03", 0.9)):
        mask = rng.random(SHAPE) < share
        motion, runs = {}, {}
        weights = rng.normal(size=(2, mask.sum()))
        for run, part in zip(LENGTHS, np.split(emotion, ends[:-1]), strict=True):
            motion[run] = postures[part] + rng.normal(size=(len(part), 2))
            noise = rng.normal(size=(len(part), mask.sum()))
            runs[run] = (5000 + 100 * (motion[run] @ weights + noise)).astype(np.int16)
        kind = Compression.BITSHUFFLE if subject == "03" else Compression.NONE
        write_subject(folder, subject, runs, motion, mask=mask, compression=kind)
    return folder, write_emotions(folder / "labels.tsv", emotion)


def trial(*changes, subjects=("01", "02", "03"), unseen=()):
    small = ["train.epochs=5", "train.batch_size=16", "data.lag_s=0", "data.drop_overlaps=false", "model.name=linear"]
    split = ["split.protocol=run", "split.fold=2", "split.gap_s=0"]
    settings = read_settings(config_files.find("demo"), [*small, *split, *changes])
    return make_trial(settings, list(subjects), list(unseen))


def trained(folder, moving, wanted, memory_bytes=None):
    directory = TrialDirectory(folder)
    return directory, train(wanted, *moving, directory, lambda metrics: None, memory_bytes)


@pytest.mark.parametrize("unit", ["psc", "zscore+detrend"])
def test_motion_decodes_from_voxels_that_move_and_not_once_it_is_regressed_out(moving, tmp_path, unit):
    changes = (f"data.normalisation={unit}", "train.learning_rate=0.01")
    _, moved = trained(tmp_path / "moved", moving, trial(*changes))
    _, regressed = trained(tmp_path / "regressed", moving, trial(*changes, "data.confounds=motion"))
    assert moved["accuracy_validation"] > 0.8
    # A third of 123 volumes by chance, with an SD of 0.04.
    assert regressed["accuracy_validation"] < 0.5


@pytest.mark.parametrize(
    "changes", [("data.normalisation=none",), ("data.downsample=2", "augment.noise=0.1"), ("data.crop=true",)]
)
def test_a_streamed_training_is_that_from_memory_bit_for_bit(moving, tmp_path, changes):
    wanted = trial(*changes, "data.confounds=motion+time", "train.epochs=2")
    ends = []
    for most in (None, 2**20):
        directory, result = trained(tmp_path / str(most), moving, wanted, most)
        assert ("are streamed from their files" in directory.log_file.read_text()) == (most is not None)
        epochs = [{**row, "time/epoch": 0} for row in directory.read_epochs()]
        kept = {key: value for key, value in result.items() if not key.endswith("_s")}
        ends.append((epochs, kept, pd.read_parquet(directory.predictions)))
    assert ends[0][:2] == ends[1][:2]
    pd.testing.assert_frame_equal(ends[0][2], ends[1][2])


def test_further_subjects_are_regressed_as_unseen_ones_are(moving, tmp_path):
    changes = ("data.confounds=motion", "train.epochs=2")
    # With the mask of all three.
    named, _ = trained(tmp_path / "named", moving, trial(*changes, subjects=["02"], unseen=["01"]))
    alone, _ = trained(tmp_path / "alone", moving, trial(*changes, subjects=["02"]))
    (one,), table = further_subjects.evaluate(alone, *moving, ["01"])
    expected = pd.read_parquet(named.predictions).query("split == 'unseen'").reset_index(drop=True)
    np.testing.assert_allclose(table.to_pandas().filter(like="p_"), expected.filter(like="p_"), rtol=1e-4)
    assert one.volumes == LENGTHS[2]


def test_a_finished_model_sees_again_what_it_was_trained_on(moving, tmp_path):
    directory, _ = trained(tmp_path / "t", moving, trial("data.confounds=motion", "train.epochs=2"))
    again = load_trained(directory, *moving)
    probability = score.predict(again.model, again.samples, np.arange(len(again.samples)), 16, torch.float32)
    np.testing.assert_allclose(probability, again.predictions.filter(like="p_"), atol=1e-6)


def test_alignment_sees_residuals(moving, tmp_path):
    changes = ("align.method=srm", "align.features=5", "data.confounds=motion", "train.learning_rate=0.01")
    _, result = trained(tmp_path / "t", moving, trial(*changes, "train.epochs=2"))
    assert result["accuracy_validation"] < 0.5


def test_another_motion_is_other_data(moving, tmp_path):
    labels = Labels.read(moving[1])
    rng = np.random.default_rng(0)
    write_subject(tmp_path, "01", {run: rng.integers(0, 99, (n, 8), np.int16) for run, n in LENGTHS.items()})

    def checksums(seed):
        motion = {run: np.random.default_rng(seed).normal(size=(n, 2)) for run, n in LENGTHS.items()}
        write_motion(tmp_path, "01", motion)
        with open_subjects(tmp_path, ["01"]) as files:
            wanted = trial("data.confounds=time+motion", subjects=["01"])
            return data_checksums(wanted, files, labels)

    one, same, other = checksums(0), checksums(0), checksums(1)
    assert list(one) == ["labels", "sub-01", "confounds-01:motion"]
    assert one == same
    assert {key for key in one if one[key] != other[key]} == {"confounds-01:motion"}


def test_a_training_without_its_confound_leaves_nothing_behind(moving, tmp_path, command):
    packed, labels = moving
    where = ("--data", packed, "--labels", labels, "--subjects", "1,2")
    for confound, reason in (("physio", "no control physio in"), ("loudness", "data.confounds")):
        words = ("--set", f"data.confounds={confound}", "--set", "data.lag_s=0")
        done = command("deepemotion", "train", tmp_path / "t", *where, *words)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert reason in done.stderr
    assert not (tmp_path / "t").exists()
    with pytest.raises(UserError, match="no control physio"):
        trained(tmp_path / "t", moving, trial("data.confounds=physio"))
    assert not (tmp_path / "t").exists()
