"""The labelled volumes of a trial: which they are, in which unit, and where their voxels go."""

import dataclasses
import shutil
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import torch
import yaml
from nifti_dataset import edited

from deepemotion.dataset.description import Dataset
from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.samples.load import load
from deepemotion.samples.permutation import permuted
from deepemotion.settings.schema import DataSettings
from deepemotion.subject_file.reader import SubjectFile, subject_path


@pytest.fixture
def labels(tiny_labels):
    return Labels.read(tiny_labels)


def bold(root, subject, run):
    """Return the run as (volumes, Z, Y, X) float64, read by nibabel alone."""
    dataset = Dataset.of_folder(root)
    return np.asarray(nibabel.load(dataset.bold(root, subject, run)).dataobj, dtype=float).T, dataset


def dense(samples, rows):
    return samples.dense(torch.as_tensor(rows)).numpy()[:, 0]


def test_dense_volumes_are_the_source_inside_the_mask_and_zero_outside(tiny_dataset, tiny_packed, labels):
    samples = load(tiny_packed, ["01", "03"], labels, DataSettings(normalisation="none"))
    mask = SubjectFile(subject_path(tiny_packed, "01")).mask.T
    for row in (0, 7, len(samples) - 1):
        source, _ = bold(tiny_dataset, samples.table.subject[row], int(samples.table.run[row]))
        volume = dense(samples, [row])[0]
        assert np.array_equal(volume[mask], source[samples.table.index_in_run[row]][mask])
        assert not volume[~mask].any()


def reference(source, index, normalisation):
    """The units as their definitions have them, from all volumes of the run."""
    mean, std = source.mean(axis=0), source.std(axis=0)
    if normalisation == "psc":
        return 100 * (source[index] - mean) / mean
    if normalisation == "zscore":
        return (source[index] - mean) / std
    time = np.arange(len(source))
    flat = source.reshape(len(source), -1)
    slope, intercept = np.polyfit(time, flat, 1)
    residual = flat - np.outer(time, slope) - intercept
    return (residual[index] / residual.std(axis=0)).reshape(mean.shape)


@pytest.mark.parametrize("normalisation", ["psc", "zscore", "zscore+detrend"])
def test_units_are_those_of_the_run(tiny_dataset, tiny_packed, labels, normalisation):
    samples = load(tiny_packed, ["02"], labels, DataSettings(normalisation=normalisation))
    mask = SubjectFile(subject_path(tiny_packed, "02")).mask.T
    for row in (0, len(samples) // 2):
        source, _ = bold(tiny_dataset, "02", int(samples.table.run[row]))
        expected = reference(source, samples.table.index_in_run[row], normalisation)
        np.testing.assert_allclose(dense(samples, [row])[0][mask], expected[mask], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("timing", "lag", "drop"), [("true", 4.0, True), ("true", 0.0, False), ("cumulative", 0, False)]
)
def test_labels_are_those_of_the_movie_time_minus_the_lag(tiny_packed, labels, timing, lag, drop):
    settings = DataSettings(timing=timing, lag_s=lag, drop_overlaps=drop, normalisation="none")
    table = load(tiny_packed, ["01"], labels, settings).table
    by_time = dict(zip(labels.movie_time.tolist(), labels.emotion.tolist(), strict=True))
    file = SubjectFile(subject_path(tiny_packed, "01"))
    lengths = [segment.end - segment.start for segment in file.segments]
    expected = []
    for i, segment in enumerate(file.segments):
        start = segment.start if timing == "true" else sum(lengths[:i])
        for index in range(file.volumes_per_run[segment.run]):
            true_time = segment.start + 2 * index
            first = i == 0 or true_time >= segment.start + 8
            last = i == len(lengths) - 1 or true_time < segment.end - 8
            label = by_time.get(start + 2 * index - lag, -1)
            if label >= 0 and (not drop or (first and last)):
                expected.append((segment.run, index, label))
    assert [*zip(table.run.tolist(), table.index_in_run.tolist(), table.label.tolist(), strict=True)] == expected


def test_how_well_observers_agree_follows_the_label(tiny_packed, labels):
    table = load(tiny_packed, ["01"], labels, DataSettings(lag_s=4)).table
    by_time = dict(zip(labels.movie_time.tolist(), labels.observer_scores.right.tolist(), strict=True))
    expected = [by_time[time] for time in (table.movie_time - 4).tolist()]
    np.testing.assert_allclose(table.observers[:, 1], expected)
    assert 0 < table.observers[:, 1].sum() < table.observers[:, 0].sum()
    # Observers were compared with the true label, and labels of older versions do not say how they agree.
    assert permuted(table, DataSettings(permutation=1)).observers is None
    silent = dataclasses.replace(labels, observer_scores=None)
    assert load(tiny_packed, ["01"], silent, DataSettings()).table.observers is None


def test_cutting_overlaps_leaves_no_movie_moment_twice(tiny_packed, labels):
    kept = load(tiny_packed, ["01"], labels, DataSettings(drop_overlaps=True)).table
    both = load(tiny_packed, ["01"], labels, DataSettings(drop_overlaps=False)).table
    assert len(set(kept.movie_time.tolist())) == len(kept)
    assert len(set(both.movie_time.tolist())) < len(both)


def test_a_buffer_is_reused_and_batches_may_shrink(tiny_packed, labels):
    samples = load(tiny_packed, ["01"], labels, DataSettings())
    first = dense(samples, [0, 1, 2]).copy()
    assert np.array_equal(dense(samples, [2, 1, 0])[::-1], first)
    assert np.array_equal(dense(samples, [1]), first[1:2])


def blocks_of(source, mask):
    """Average (T, Z, Y, X) over the in-mask voxels of blocks of 2 x 2 x 2, by hand; and say which blocks have any."""
    padding = [(0, side % 2) for side in mask.shape]
    mask = np.pad(mask, padding)
    source = np.pad(source, [(0, 0), *padding]) * mask
    z, y, x = (side // 2 for side in mask.shape)
    count = mask.reshape(z, 2, y, 2, x, 2).sum(axis=(1, 3, 5))
    total = source.reshape(-1, z, 2, y, 2, x, 2).sum(axis=(2, 4, 6))
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0), count > 0


def box_of(mask):
    return tuple(slice(at.min(), at.max() + 1) for at in np.nonzero(mask))


@pytest.mark.parametrize("normalisation", ["none", "psc", "zscore", "zscore+detrend"])
def test_cropped_volumes_are_the_same_voxels_in_the_mask_s_box(tiny_packed, labels, normalisation):
    whole, cropped = (
        load(tiny_packed, ["01", "02"], labels, DataSettings(normalisation=normalisation, crop=crop))
        for crop in (False, True)
    )
    mask = whole.grid.mask
    box = box_of(mask.T)
    assert cropped.shape == tuple(side.stop - side.start for side in box[::-1])
    assert np.prod(cropped.shape) < np.prod(whole.shape)
    rows = [0, 9, len(whole) - 1]
    assert np.array_equal(dense(cropped, rows), dense(whole, rows)[:, *box])


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("normalisation", ["none", "psc", "zscore", "zscore+detrend"])
def test_downsampled_volumes_are_those_of_a_run_that_was_averaged_first(
    tiny_dataset, tiny_packed, labels, normalisation, crop
):
    samples = load(tiny_packed, ["02"], labels, DataSettings(normalisation=normalisation, downsample=2, crop=crop))
    mask = SubjectFile(subject_path(tiny_packed, "02")).mask.T
    for row in (0, len(samples) // 2):
        source, _ = bold(tiny_dataset, "02", int(samples.table.run[row]))
        averaged, inside = blocks_of(source, mask)
        box = box_of(inside) if crop else np.s_[:]
        averaged, inside = averaged[:, *box] if crop else averaged, inside[box]
        index = samples.table.index_in_run[row]
        with np.errstate(invalid="ignore"):
            expected = averaged[index] if normalisation == "none" else reference(averaged, index, normalisation)
        volume = dense(samples, [row])[0]
        np.testing.assert_allclose(volume[inside], expected[inside], rtol=2e-3, atol=5e-3)
        assert not volume[~inside].any()


def test_what_does_not_fit_is_named(tiny_packed, labels, tmp_path):
    nothing = Labels(labels.classes, labels.movie_time, np.full_like(labels.emotion, -1), labels.soft, "x")
    with pytest.raises(UserError, match="no volume of subjects 01 has a label"):
        load(tiny_packed, ["01"], nothing, DataSettings())
    with pytest.raises(UserError, match=r"sub-09\.h5"):
        load(tiny_packed, ["09"], labels, DataSettings())


@pytest.mark.parametrize("most_bytes", [None, 0])
def test_a_flipped_bit_in_a_volume_is_found_when_it_is_read(tiny_packed, labels, tmp_path, most_bytes):
    path = Path(shutil.copy(subject_path(tiny_packed, "01"), tmp_path))
    settings = DataSettings(normalisation="none")
    table = load(tmp_path, ["01"], labels, settings).table
    with SubjectFile(path) as file:
        row = np.flatnonzero((file.run == table.run[3]) & (file.index_in_run == table.index_in_run[3]))[0]
    with h5py.File(path, "r+") as file:
        file["volumes"][row, 5] ^= 4
    with pytest.raises(UserError, match=rf"sub-01\.h5: volume {row} is not what was packed: damaged; delete it"):
        dense(load(tmp_path, ["01"], labels, settings, most_bytes=most_bytes), [2, 3])


def test_subjects_in_different_places_are_refused(tiny_packed, labels, tmp_path):
    for subject in ("01", "02"):
        shutil.copy(subject_path(tiny_packed, subject), tmp_path)
    with edited(subject_path(tmp_path, "02")) as file:
        file["affine"][0, 3] += 20
    with pytest.raises(UserError, match=r"sub-02\.h5: its affine is not that of .*sub-01\.h5"):
        load(tmp_path, ["01", "02"], labels, DataSettings())


def test_batches_may_be_made_while_a_model_predicts_and_then_while_it_trains(tiny_packed, labels):
    samples = load(tiny_packed, ["01"], labels, DataSettings())
    with torch.inference_mode():
        first = samples.dense(torch.arange(4)).clone()
    assert torch.equal(samples.dense(torch.arange(4)), first)


@pytest.mark.parametrize("normalisation", ["none", "psc", "zscore", "zscore+detrend"])
def test_a_gpu_s_batch_at_once_is_the_cpu_s_volume_by_volume(tiny_packed, labels, monkeypatch, normalisation):
    samples = load(tiny_packed, ["01", "02"], labels, DataSettings(normalisation=normalisation))
    rows = torch.arange(0, len(samples), 3)
    one_by_one = samples.values(rows)
    monkeypatch.setattr(type(samples), "device", torch.device("cuda"))
    assert torch.equal(samples.values(rows), one_by_one)


def test_run_numbers_need_not_ascend_along_the_movie(tiny_dataset, labels, command, tmp_path):
    root = tmp_path / "raw"
    shutil.copytree(tiny_dataset, root)
    description = root / "dataset.yaml"
    content = yaml.safe_load(description.read_text())
    first, second = content["segments"][:2]
    first["run"], second["run"] = 2, 1
    description.write_text(yaml.safe_dump(content))
    done = command("deepemotion", "pack", root, "--out", tmp_path / "packed", "--subjects", "1")
    assert done.returncode == 0, done.stderr
    samples = load(tmp_path / "packed", ["01"], labels, DataSettings(normalisation="zscore", drop_overlaps=False))
    mask = SubjectFile(subject_path(tmp_path / "packed", "01")).mask.T
    for run in (1, 2, 3):
        row = int(np.flatnonzero(samples.table.run == run)[0])
        source, _ = bold(root, "01", run)
        expected = reference(source, samples.table.index_in_run[row], "zscore")
        np.testing.assert_allclose(dense(samples, [row])[0][mask], expected[mask], atol=1e-3)
