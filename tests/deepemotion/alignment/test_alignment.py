"""Alignment of real files: what it may see, what it gives back, and what it refuses."""

import shutil
import weakref
import zlib

import nibabel
import numpy as np
import pytest
import torch
from nifti_dataset import edited

from deepemotion import config_files
from deepemotion.alignment import moments
from deepemotion.alignment.align import align
from deepemotion.alignment.moments import AlignedMoments
from deepemotion.dataset import Dataset
from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.samples import timing
from deepemotion.samples.load import load
from deepemotion.samples.volumes import Held
from deepemotion.settings.schema import make_trial, read_settings
from deepemotion.subject_file.reader import SubjectFile, subject_path
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

FOLD = 3
CPU = torch.device("cpu")
METHODS = pytest.mark.parametrize("method", ["srm", "procrustes"])


def trial(*overrides, subjects=("01", "02"), unseen=("03",), method="srm"):
    settings = ("split.protocol=run", f"split.fold={FOLD}", f"align.method={method}", "align.features=8")
    return make_trial(read_settings(config_files.find("demo"), [*settings, *overrides]), list(subjects), list(unseen))


def aligned(packed, labels, wanted, log=lambda line: None):
    """Return the samples of a trial, aligned."""
    labels = labels if isinstance(labels, Labels) else Labels.read(labels)
    samples = load(packed, [*wanted.subjects, *wanted.unseen_subjects], labels, wanted.data)
    return align(samples, packed, wanted, CPU, log)


def dense(samples):
    return samples.dense(torch.arange(len(samples))).flatten(1).clone()


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


def test_no_two_films_are_in_memory_at_once(tiny_packed, tiny_labels, monkeypatch):
    films, load_one = [], AlignedMoments.of

    def of(*arguments):
        assert [film for film in films if film()] == []
        made = load_one(*arguments)
        films.append(weakref.ref(made._series))
        return made

    monkeypatch.setattr(AlignedMoments, "of", of)
    aligned(tiny_packed, tiny_labels, trial())
    assert len(films) == 6


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


def test_blocks_of_voxels_of_any_size_give_the_same(tiny_packed, tiny_labels, monkeypatch):
    whole = dense(aligned(tiny_packed, tiny_labels, trial()))
    monkeypatch.setattr(moments, "BLOCK_VOXELS", 101)
    torch.testing.assert_close(dense(aligned(tiny_packed, tiny_labels, trial())), whole, atol=2e-3, rtol=0)


def test_memory_grows_with_voxels_times_volumes_not_voxels_squared(tiny_packed, tiny_labels, monkeypatch):
    voxels = 300_000
    small = load(tiny_packed, ["01"], Labels.read(tiny_labels), trial().data)
    total = len(small)
    wide = {"offset_GV": 0.0, "gain_GV": 1e-3, "trend_GV": 0.0}
    big = moments.replace(
        small,
        voxels_V=torch.arange(voxels),
        volumes=Held(torch.randint(-3000, 3000, (total, voxels), dtype=torch.int16)),
        **{name: torch.full((8, voxels), value) for name, value in wide.items()},
    )
    monkeypatch.setattr(moments, "load", lambda *_, **__: big)
    sizes = []
    kept = moments.Samples.values
    monkeypatch.setattr(moments.Samples, "values", lambda *a: sizes.append(kept(*a)) or sizes[-1])
    own = AlignedMoments.of("01", big, tiny_packed, trial())
    # Voxels by voxels would be 360 GB.
    assert own.gram(CPU).shape == (len(own.moment_T),) * 2
    assert max(x.numel() for x in sizes) <= total * moments.BLOCK_VOXELS


def test_a_subject_whose_run_is_short_is_aligned_on_what_it_has(
    tiny_dataset, tiny_packed, tiny_labels, command, tmp_path
):
    root, packed = tmp_path / "raw", tmp_path / "packed"
    shutil.copytree(tiny_dataset, root)
    path = Dataset.of_folder(root).bold(root, "03", 8)
    image = nibabel.load(path)
    nibabel.save(image.slicer[..., :13], path)
    assert command("deepemotion", "pack", root, "--out", packed).returncode == 0
    whole, short = (aligned(which, tiny_labels, trial()) for which in (tiny_packed, packed))
    assert len(short) < len(whole)
    others = whole.table.subject != "03"
    assert torch.equal(dense(whole)[others], dense(short)[short.table.subject != "03"])
    said = []
    aligned(packed, tiny_labels, trial(subjects=("01", "03"), unseen=("02",)), said.append)
    aligned(packed, tiny_labels, trial(subjects=("01", "02"), unseen=("03",)), said.append)
    assert len(set(said)) == 2


def test_a_single_subject_is_left_as_it_is_and_told(tiny_packed, tiny_labels):
    said = []
    alone = aligned(tiny_packed, tiny_labels, trial(subjects=["01"], unseen=[]), said.append)
    plain = aligned(tiny_packed, tiny_labels, trial(subjects=["01"], unseen=[], method="none"))
    assert torch.equal(dense(alone), dense(plain))
    assert said == ["align.method=srm has no effect on a single subject"]


@pytest.mark.parametrize(
    ("override", "match"),
    [
        ("split.protocol=random", r"alignment would leak; use run or block"),
        ("data.normalisation=none", r"use zscore, zscore\+detrend or psc"),
        ("align.features=100", r"align\.features=100: .*subject 01.* allow at most \d\d; lower it"),
    ],
)
@METHODS
def test_what_cannot_be_aligned_is_refused_in_a_line(tiny_packed, tiny_labels, override, match, method):
    with pytest.raises(UserError, match=match):
        aligned(tiny_packed, tiny_labels, trial(override, method=method))


def test_the_most_features_that_are_allowed_work(tiny_packed, tiny_labels):
    with pytest.raises(UserError) as refused:
        aligned(tiny_packed, tiny_labels, trial("align.features=100"))
    most = int(str(refused.value).split("at most ")[1].split(";")[0])
    assert torch.isfinite(dense(aligned(tiny_packed, tiny_labels, trial(f"align.features={most}")))).all()


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


@pytest.mark.parametrize("drop_overlaps", ["true", "false"])
def test_alignment_keeps_its_distance_from_all_volumes_that_validate(tiny_packed, tiny_labels, drop_overlaps):
    wanted = trial(f"data.drop_overlaps={drop_overlaps}", "split.gap_s=2")
    samples = load(tiny_packed, ["01"], Labels.read(tiny_labels), wanted.data)
    moment_T = AlignedMoments.of("01", samples, tiny_packed, wanted).moment_T
    with SubjectFile(subject_path(tiny_packed, "01")) as file:
        places = file.run.astype(np.int64) * moments._A_RUN + file.index_in_run
        time_T = file.movie_time[np.isin(places, moment_T)]
        kept = timing.outside_overlaps(file.segments, file.run, file.movie_time) | (drop_overlaps == "false")
        held_out = file.movie_time[(file.run == FOLD) & kept]
    assert len(time_T) == len(moment_T)
    assert np.abs(time_T[:, None] - held_out).min() > 2
