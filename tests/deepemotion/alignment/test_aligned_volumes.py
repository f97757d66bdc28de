"""What alignment gives back, of real files."""

import shutil

import nibabel
import numpy as np
import pytest
import torch
from aligned_samples import FOLD, METHODS, aligned, dense, trial

from deepemotion.dataset.description import Dataset
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory


@METHODS
def test_the_same_moment_looks_more_alike_in_different_subjects(tiny_packed, tiny_labels, method):
    def agreement(wanted):
        samples = aligned(tiny_packed, tiny_labels, wanted)
        x = dense(samples)[:, samples.voxels_V].numpy()
        held_out = samples.table.run == FOLD
        first, unseen = (x[held_out & (samples.table.subject == subject)] for subject in ("01", "03"))
        return np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(first, unseen, strict=True)])

    assert agreement(trial(method=method)) > agreement(trial(method="none")) + 0.1


@METHODS
def test_the_same_trial_gives_the_same_bits(tiny_packed, tiny_labels, method):
    one, two = (aligned(tiny_packed, tiny_labels, trial(method=method)) for _ in range(2))
    assert torch.equal(dense(one), dense(two))


def test_what_comes_back_are_volumes_of_as_many_dimensions_as_features(tiny_packed, tiny_labels):
    said = []
    samples = aligned(tiny_packed, tiny_labels, trial(), said.append)
    plain = aligned(tiny_packed, tiny_labels, trial(method="none"))
    assert samples.held().dtype == torch.int16
    assert np.array_equal(samples.table.label, plain.table.label)
    x = dense(samples)
    outside = torch.ones(x.shape[1], dtype=bool)
    outside[samples.voxels_V] = False
    assert not x[:, outside].any()
    training = (samples.table.run != FOLD) & (samples.table.subject != "03")
    assert x[training][:, samples.voxels_V].square().mean() == pytest.approx(1, rel=0.3)
    values = np.linalg.svd(x, compute_uv=False)
    # What is left is the rounding to int16.
    assert values[8] < 1e-3 * values[7]
    (line,) = said
    assert line.startswith("srm: 8 features of ")
    assert "common to 2 subjects" in line


def test_a_subject_whose_run_is_short_is_aligned_on_what_it_has(
    tiny_dataset, tiny_packed, tiny_labels, command, tmp_path
):
    root, packed = tmp_path / "raw", tmp_path / "packed"
    shutil.copytree(tiny_dataset, root)
    path = Dataset.of_folder(root).bold(root, "03", 8)
    image = nibabel.load(path)
    nibabel.save(image.slicer[..., :13], path)
    # Recordings of head motion and breathing would have to be as short.
    (root / "dataset.yaml").write_text((root / "dataset.yaml").read_text().partition("controls:")[0])
    assert command("deepemotion", "pack", root, "--out", packed).returncode == 0
    whole, short = (aligned(which, tiny_labels, trial()) for which in (tiny_packed, packed))
    assert len(short) < len(whole)
    others = whole.table.subject != "03"
    assert torch.equal(dense(whole)[others], dense(short)[short.table.subject != "03"])
    said = []
    aligned(packed, tiny_labels, trial(subjects=("01", "03"), unseen=("02",)), said.append)
    aligned(packed, tiny_labels, trial(subjects=("01", "02"), unseen=("03",)), said.append)
    assert len(set(said)) == 2


def test_an_aligned_training_goes_on_exactly_where_it_was(tiny_packed, tiny_labels, tmp_path):
    wanted = trial("train.epochs=3", "model.name=linear")

    def stop(metrics):
        if metrics["epoch"] == 2:
            raise KeyboardInterrupt

    def run(folder, on_epoch=lambda metrics: None):
        directory = TrialDirectory(folder)
        train(wanted, tiny_packed, tiny_labels, directory, on_epoch)
        return [{**row, "time/epoch": 0} for row in directory.read_epochs()]

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", stop)
    assert run(tmp_path / "stopped") == run(tmp_path / "straight")
    assert "srm: 8 features" in (tmp_path / "straight" / "log.txt").read_text()
