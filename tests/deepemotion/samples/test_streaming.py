"""Volumes that stay in their files: the same bits as from memory, in the same order, whatever the files are like."""

import os
import threading

import numpy as np
import pandas as pd
import pytest
import torch

from deepemotion import config_files
from deepemotion.dataset.description import Dataset, FilePatterns, Segment
from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.labels.table import write as write_labels
from deepemotion.samples.load import load
from deepemotion.settings.schema import DataSettings, make_trial, read_settings
from deepemotion.subject_file.format import RunRecord, Source
from deepemotion.subject_file.options import Compression, NanRule
from deepemotion.subject_file.reader import subject_path
from deepemotion.subject_file.writer import Layout, new_subject_file
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

SHAPE, RUNS, VOLUMES, TR = (9, 10, 11), 3, 14, 2.0


def write_subject(folder, subject, share, compression=Compression.NONE):
    """Pack a subject of noise whose mask has about `share` of the voxels: another one for each subject."""
    rng = np.random.default_rng(int(subject))
    mask = rng.random(SHAPE) < share
    segments = [Segment(run=run, start=TR * VOLUMES * (run - 1), end=TR * VOLUMES * run) for run in range(1, RUNS + 1)]
    dataset = Dataset(
        name="noise", tr=TR, subjects=[subject], segments=segments, files=FilePatterns(bold="{subject}-{run}.nii")
    )
    runs = {segment.run: VOLUMES for segment in segments}
    layout = Layout(dataset, subject, runs, mask, np.eye(4), [], NanRule.FAIL, compression)
    with new_subject_file(subject_path(folder, subject), layout) as writer:
        for run in runs:
            run_writer = writer.run(run)
            for _ in range(VOLUMES):
                volume = rng.integers(-3000, 12000, int(mask.sum()), dtype=np.int16)
                with run_writer.next_volume(float(rng.uniform(0.5, 2)), float(rng.normal())) as out:
                    out[:] = volume
            source = Source(name=f"{run}.nii", size=0, mtime_ns=0, crc32=0)
            how = {"dtype": "int16", "slope": 1.0, "intercept": 0.0, "largest_error": 0.0, "not_finite": 0}
            run_writer.end(RunRecord(run=run, volumes=VOLUMES, source=source, **how))
        writer.finish()


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Three subjects of noise with three masks; the last one is compressed."""
    folder = tmp_path_factory.mktemp("noise")
    write_subject(folder, "01", 0.9)
    write_subject(folder, "02", 0.7)
    write_subject(folder, "03", 0.8, Compression.BITSHUFFLE)
    return folder


@pytest.fixture(scope="module")
def labels_file(tmp_path_factory):
    times = TR * np.arange(RUNS * VOLUMES)
    emotion = np.where(np.arange(len(times)) % 5 == 0, -1, np.arange(len(times)) // 2 % 3)
    path = tmp_path_factory.mktemp("labels") / "labels.tsv"
    soft = np.full((len(times), 3), 0.25, np.float32)
    votes = np.full(len(times), 2)
    write_labels(path, classes=("A", "B", "C"), movie_time=times, emotion=emotion, votes=votes, observers=8, soft=soft)
    return path


@pytest.fixture(scope="module")
def labels(labels_file):
    return Labels.read(labels_file)


@pytest.mark.parametrize("subjects", [["01"], ["03"], ["01", "02", "03"]])
@pytest.mark.parametrize(
    "settings",
    [
        {"normalisation": "none"},
        {"normalisation": "zscore+detrend"},
        {"normalisation": "zscore", "crop": True},
        {"normalisation": "psc", "downsample": 2},
    ],
)
def test_streamed_batches_are_those_from_memory_bit_for_bit(packed, labels, subjects, settings):
    chosen = DataSettings(lag_s=0, **settings)
    held = load(packed, subjects, labels, chosen)
    streamed = load(packed, subjects, labels, chosen, most_bytes=held.volume_bytes - 1)
    assert (held.streamed, streamed.streamed) == (False, True)
    order = torch.randperm(len(held), generator=torch.Generator().manual_seed(0))
    pairs = 0
    for (rows, expected), (same, found) in zip(held.batches(order, 4), streamed.batches(order, 4), strict=True):
        assert torch.equal(rows, same)
        assert torch.equal(expected, found)
        pairs += 1
    assert pairs == -(-len(held) // 4)
    assert torch.equal(held.dense(order[:5]).clone(), streamed.dense(order[:5]))


def test_volumes_that_fit_are_kept_in_memory(packed, labels):
    chosen = DataSettings(lag_s=0)
    size = load(packed, ["01"], labels, chosen).volume_bytes
    assert not load(packed, ["01"], labels, chosen, most_bytes=size).streamed


def test_volumes_in_the_host_s_memory_are_staged_in_the_same_order(packed, labels):
    held = load(packed, ["01", "02"], labels, DataSettings(lag_s=0))
    staged = held.to(torch.device("cpu"), resident=False)
    order = torch.randperm(len(held))
    for (rows, expected), (same, found) in zip(held.batches(order, 7), staged.batches(order, 7), strict=True):
        assert torch.equal(rows, same)
        assert torch.equal(expected, found)


def test_readers_end_with_their_epoch_even_if_it_ends_early(packed, labels):
    streamed = load(packed, ["01"], labels, DataSettings(lag_s=0), most_bytes=0)
    for rows, _ in streamed.batches(torch.arange(len(streamed)), 2):
        assert len(rows) == 2
        break
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("volumes")]


def test_a_file_that_was_cut_while_it_is_read_is_named(tmp_path, labels):
    write_subject(tmp_path, "01", 0.9)
    streamed = load(tmp_path, ["01"], labels, DataSettings(lag_s=0), most_bytes=0)
    os.truncate(subject_path(tmp_path, "01"), 4096)
    with pytest.raises(UserError, match=r"sub-01\.h5: volume \d+ cannot be read: truncated; pack it again"):
        list(streamed.batches(torch.arange(len(streamed)), 4))


def test_a_file_that_is_packed_anew_meanwhile_changes_nothing(tmp_path, labels):
    write_subject(tmp_path, "01", 0.9)
    streamed = load(tmp_path, ["01"], labels, DataSettings(lag_s=0), most_bytes=0)
    before = streamed.dense(torch.arange(4)).clone()
    subject_path(tmp_path, "01").unlink()
    write_subject(tmp_path, "01", 0.5)
    assert torch.equal(streamed.dense(torch.arange(4)), before)


def run(folder, packed, labels, memory_bytes, *changes):
    small = ["train.epochs=2", "train.batch_size=16", "data.drop_overlaps=false"]
    trial = make_trial(read_settings(config_files.find("demo"), [*small, *changes]), ["01", "02"], ["03"])
    directory = TrialDirectory(folder)
    result = train(trial, packed, labels, directory, lambda metrics: None, memory_bytes)
    epochs = [{**row, "time/epoch": 0} for row in directory.read_epochs()]
    return epochs, result, pd.read_parquet(directory.predictions), directory.log_file.read_text()


def require_equal(one, other):
    """Say that two trainings, of which the second one streamed, ended with the same bits."""
    epochs, result, predictions, log = one
    streamed_epochs, streamed_result, streamed_predictions, streamed_log = other
    assert "are streamed from their files" in streamed_log
    assert "streamed" not in log
    assert streamed_epochs == epochs
    pd.testing.assert_frame_equal(streamed_predictions, predictions)
    for key, value in result.items():
        if not key.endswith("_s"):
            assert streamed_result[key] == value


@pytest.mark.parametrize(
    "changes", [("split.protocol=run", "split.fold=3"), ("model.name=linear", "augment.noise=0.1", "data.downsample=2")]
)
def test_a_streamed_training_is_that_from_memory_bit_for_bit(tiny_packed, tiny_labels, tmp_path, changes):
    runs = (run(tmp_path / str(most), tiny_packed, tiny_labels, most, *changes) for most in (None, 2**20))
    require_equal(*runs)


def test_so_is_one_of_subjects_whose_masks_and_compression_differ(packed, labels_file, tmp_path):
    changes = ("data.lag_s=0", "split.protocol=run", "split.fold=2")
    require_equal(*(run(tmp_path / str(most), packed, labels_file, most, *changes) for most in (None, 2**20)))


def test_a_training_with_memory_enough_streams_nothing(tiny_packed, tiny_labels, tmp_path):
    *_, log = run(tmp_path / "t", tiny_packed, tiny_labels, 2**34, "model.name=linear")
    assert "streamed" not in log


def test_aligned_volumes_are_kept_in_memory(tiny_packed, tiny_labels, tmp_path):
    changes = ("model.name=linear", "align.method=srm", "align.features=5", "split.protocol=run", "split.fold=3")
    *_, log = run(tmp_path / "t", tiny_packed, tiny_labels, 2**20, *changes)
    assert "srm: 5 features" in log
    assert "streamed" not in log
