"""What alignment may see: nothing of validation, of unseen subjects or of the labels."""

import shutil
import zlib

import numpy as np
import pytest
import torch
from aligned_samples import FOLD, METHODS, aligned, dense, trial
from nifti_dataset import edited

from deepemotion.alignment import moments
from deepemotion.alignment.moments import AlignedMoments
from deepemotion.labels.table import Labels
from deepemotion.samples import timing
from deepemotion.samples.load import load
from deepemotion.subject_file.reader import SubjectFile, subject_path


def with_noise(packed, folder, which):
    """Copy the packed subjects; `which(file)` says which of a subject's volumes (T,) become noise."""
    shutil.copytree(packed, folder)
    for path in sorted(folder.glob("sub-*.h5")):
        with SubjectFile(path) as file:
            rows = np.flatnonzero(which(file))
        rng = np.random.default_rng(3)
        with edited(path) as file:
            for row in rows:
                noise = rng.integers(5000, 12000, file["volumes"].shape[1], dtype=np.int16)
                file["volumes"][row] = noise
                file["crc32"][row] = zlib.crc32(noise)
    return folder


@METHODS
def test_the_unseen_subject_has_no_part_in_the_template(tiny_packed, tiny_labels, tmp_path, method):
    other = with_noise(tiny_packed, tmp_path / "other", lambda file: np.full(file.total, file.subject == "03"))
    one, two = (aligned(packed, tiny_labels, trial(method=method)) for packed in (tiny_packed, other))
    unseen = one.table.subject == "03"
    assert torch.equal(dense(one)[~unseen], dense(two)[~unseen])
    assert not torch.equal(dense(one)[unseen], dense(two)[unseen])


@METHODS
def test_validation_moments_change_no_map(tiny_packed, tiny_labels, tmp_path, method):
    # The neighbours' volumes that show a part of the run again are validation moments too.
    def held_out(file):
        return (file.run == FOLD) | ~timing.outside_overlaps(file.segments, file.run, file.movie_time)

    other = with_noise(tiny_packed, tmp_path / "other", held_out)
    wanted = trial("data.drop_overlaps=false", method=method)
    one, two = (aligned(packed, tiny_labels, wanted) for packed in (tiny_packed, other))
    with SubjectFile(subject_path(tiny_packed, "01")) as file:
        same = {*zip(file.run[~held_out(file)].tolist(), file.index_in_run[~held_out(file)].tolist(), strict=True)}
    rows = np.array([key in same for key in zip(one.table.run.tolist(), one.table.index_in_run.tolist(), strict=True)])
    assert rows.sum() > 20
    assert torch.equal(dense(one)[rows], dense(two)[rows])
    assert not torch.equal(dense(one)[~rows], dense(two)[~rows])


def test_validation_blocks_and_the_gaps_around_them_change_no_map(tiny_packed, tiny_labels, tmp_path):
    wanted = trial("split.protocol=block", "split.fold=2", "split.folds=3", "split.block_s=40", "split.gap_s=4")

    def of_training(file):
        block = (file.movie_time // 40).astype(int) % 3 == 1
        held_out = file.movie_time[block]
        return (abs(file.movie_time[:, None] - held_out).min(axis=1) > 4) & timing.outside_overlaps(
            file.segments, file.run, file.movie_time
        )

    other = with_noise(tiny_packed, tmp_path / "other", lambda file: ~of_training(file))
    one, two = (aligned(packed, tiny_labels, wanted) for packed in (tiny_packed, other))
    with SubjectFile(subject_path(tiny_packed, "01")) as file:
        rows = np.isin(one.table.movie_time, file.movie_time[of_training(file)])
    assert rows.sum() > 20
    assert torch.equal(dense(one)[rows], dense(two)[rows])


@METHODS
def test_a_training_moment_is_seen_through_a_map_that_was_not_fitted_to_its_run(
    tiny_packed, tiny_labels, tmp_path, method
):
    wanted = trial(method=method)
    one = aligned(tiny_packed, tiny_labels, wanted)
    changed = np.flatnonzero((one.table.subject == "03") & (one.table.run == 5))[0]

    def that_volume(file):
        here = (file.run == 5) & (file.index_in_run == one.table.index_in_run[changed])
        return here & (file.subject == "03")

    two = aligned(with_noise(tiny_packed, tmp_path / "other", that_volume), tiny_labels, wanted)
    same = np.array([torch.equal(a, b) for a, b in zip(dense(one), dense(two), strict=True)])
    own_run = (one.table.subject == "03") & (one.table.run == 5)
    assert not same[changed]
    assert same[own_run].sum() == own_run.sum() - 1
    assert not same[(one.table.subject == "03") & (one.table.run != 5)].any()
    assert same[one.table.subject != "03"].all()


def test_labels_have_no_part_in_it(tiny_packed, tiny_labels):
    labels = Labels.read(tiny_labels)
    emotion = labels.emotion.copy()
    emotion[emotion >= 0] = np.roll(emotion[emotion >= 0], 7)
    other = Labels(labels.classes, labels.movie_time, emotion, labels.soft, "x")
    one, two = (aligned(tiny_packed, which, trial()) for which in (labels, other))
    assert not np.array_equal(one.table.label, two.table.label)
    assert torch.equal(dense(one), dense(two))


@pytest.mark.parametrize("drop_overlaps", ["true", "false"])
def test_alignment_keeps_its_distance_from_all_volumes_that_validate(tiny_packed, tiny_labels, drop_overlaps):
    wanted = trial(f"data.drop_overlaps={drop_overlaps}", "split.gap_s=2")
    samples = load(tiny_packed, ["01"], Labels.read(tiny_labels), wanted.data)
    with SubjectFile.of(tiny_packed, "01") as file:
        moment_T = AlignedMoments.of(file, samples.grid, wanted).moment_T
        places = file.run.astype(np.int64) * moments._A_RUN + file.index_in_run
        time_T = file.movie_time[np.isin(places, moment_T)]
        kept = timing.outside_overlaps(file.segments, file.run, file.movie_time) | (drop_overlaps == "false")
        held_out = file.movie_time[(file.run == FOLD) & kept]
    assert len(time_T) == len(moment_T)
    assert np.abs(time_T[:, None] - held_out).min() > 2
