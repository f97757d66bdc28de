"""Confounds that are regressed out of voxels: what they explain is gone, and what they do not explain stays."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from packed_series import write_motion, write_subject

from deepemotion.controls import volume_series
from deepemotion.errors import UserError
from deepemotion.samples.confounds import basis
from deepemotion.samples.load import load_opened as load_files
from deepemotion.settings.schema import DataSettings
from deepemotion.subject_file.control_file import control_path
from deepemotion.subject_file.folder import open_subjects

UNITS = ("none", "zscore", "zscore+detrend", "psc")
RUNS = {1: 40, 2: 25, 3: 60}


def values(folder, subjects=("01",), **changes):
    """Return all volumes (N, V) of the subjects, as a model sees them."""
    wanted = DataSettings(**{"confounds": ("motion",), "normalisation": "none"} | changes)
    with open_subjects(folder, subjects) as files:
        samples = load_files(files, None, wanted)
        return samples.values(torch.arange(len(samples))).numpy().astype(np.float64)


def random_motion(rng, lengths=RUNS, columns=3):
    return {run: np.cumsum(rng.normal(size=(volumes, columns)), axis=0) for run, volumes in lengths.items()}


def regressors(motion):
    """Return the features (T, F) that a control of motion is trained on."""
    return volume_series.features(motion.astype(np.float32), with_differences=True).astype(np.float64)


def without(values_TV, columns_TF):
    """Return the residuals of ordinary least squares on the columns and a constant, with the mean of the values."""
    design = np.column_stack([np.ones(len(columns_TF)), columns_TF])
    explained = design @ np.linalg.lstsq(design, values_TV, rcond=None)[0]
    return values_TV - explained + values_TV.mean(axis=0)


def in_unit(values_TV, unit):
    centred = values_TV - values_TV.mean(axis=0)
    time = np.arange(len(centred)) - (len(centred) - 1) / 2
    if unit == "zscore+detrend":
        centred -= np.outer(time, time @ centred / (time @ time))
    return {
        "none": values_TV,
        "psc": 100 * centred / values_TV.mean(axis=0),
        "zscore": centred / centred.std(axis=0),
        "zscore+detrend": centred / centred.std(axis=0),
    }[unit]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A subject of 27 voxels: a mean, motion with weights of its own, and a signal that has nothing to do with it."""
    folder, rng = tmp_path_factory.mktemp("planted"), np.random.default_rng(5)
    motion = random_motion(rng)
    runs, signals = {}, {}
    for run, volumes in RUNS.items():
        columns = regressors(motion[run])
        signals[run] = 200 * without(rng.normal(size=(volumes, 27)), columns)
        moved = 300 * columns @ rng.normal(size=(columns.shape[1], 27))
        runs[run] = 2 * np.rint((6000 + signals[run] + moved) / 2).astype(np.int16)
    write_subject(folder, "01", runs, motion, mask=np.ones((3, 3, 3), bool))
    return folder, motion, runs, signals


@pytest.mark.parametrize("unit", UNITS)
def test_what_a_confound_explains_is_gone_and_the_signal_beside_it_stays_in_every_unit(planted, unit):
    folder, motion, runs, signals = planted
    found = values(folder, normalisation=unit)
    end = 0
    for run, volumes in RUNS.items():
        start, end = end, end + volumes
        own, columns = found[start:end], regressors(motion[run])
        exact = in_unit(without(runs[run].astype(float), columns), unit)
        np.testing.assert_allclose(own, exact, atol=2e-3 * exact.std())
        # The signal was rounded to multiples of 2 when it was written.
        np.testing.assert_allclose(own, in_unit(6000 + signals[run], unit), atol=0.03 * exact.std())
        centred = own - own.mean(axis=0)
        correlation = columns.T @ centred / np.outer(np.linalg.norm(columns, axis=0), np.linalg.norm(centred, axis=0))
        assert np.abs(correlation).max() < 1e-3


def test_means_of_blocks_are_regressed_as_voxels_are(planted):
    folder, motion, runs, _ = planted
    whole = values(folder, normalisation="none", downsample=2)
    block = runs[1].reshape(-1, 3, 3, 3)[:, :2, :2, :2].reshape(RUNS[1], 8).mean(axis=1, keepdims=True)
    exact = without(block.astype(float), regressors(motion[1]))
    np.testing.assert_allclose(whole[: RUNS[1], :1], exact, atol=4e-3 * exact.std())


def test_the_time_of_a_run_is_removed_and_does_not_come_back_with_its_line(planted):
    folder, *_ = planted
    first = values(folder, confounds=("time",), normalisation="zscore+detrend")[: RUNS[1]]
    time = np.linspace(-1, 1, RUNS[1])
    for power in (1, 2, 3):
        assert np.abs(time**power @ first).max() < 1e-3 * RUNS[1]


def test_a_run_is_regressed_by_itself(planted, tmp_path):
    _, motion, runs, _ = planted
    write_subject(tmp_path, "01", runs, motion, mask=np.ones((3, 3, 3), bool))
    before = values(tmp_path, normalisation="zscore")
    write_subject(tmp_path, "01", runs | {2: runs[2][::-1]}, motion, mask=np.ones((3, 3, 3), bool))
    after = values(tmp_path, normalisation="zscore")
    assert np.array_equal(before[: RUNS[1]], after[: RUNS[1]])
    assert not np.array_equal(before[RUNS[1] : RUNS[1] + RUNS[2]], after[RUNS[1] : RUNS[1] + RUNS[2]])


def test_a_subject_s_residuals_are_the_same_whoever_it_is_trained_with(planted, tmp_path):
    folder, motion, runs, _ = planted
    write_subject(tmp_path, "01", runs, motion)
    write_subject(tmp_path, "02", runs, random_motion(np.random.default_rng(1), columns=5))
    assert np.array_equal(values(tmp_path, ("01", "02"))[: sum(RUNS.values())], values(folder))


def test_nothing_is_made_of_the_rounding_that_a_confound_leaves(tmp_path):
    motion = random_motion(np.random.default_rng(2))
    runs = {run: np.zeros((volumes, 2), np.int16) for run, volumes in RUNS.items()}
    for run, moved in motion.items():
        runs[run][:, 0] = 2 * np.rint(4000 * regressors(moved)[:, 0] / 2)
    write_subject(tmp_path, "01", runs, motion)
    for unit in ("zscore", "zscore+detrend"):
        assert not values(tmp_path, normalisation=unit).any()


@given(st.integers(6, 40), st.integers(1, 12), st.booleans(), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_a_basis_spans_its_features_and_nothing_else(volumes, columns, line, seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(volumes, columns)) * 10.0 ** rng.integers(-6, 6, columns)
    # A constant one, a copy, a sum of two, and one that is empty.
    more = [np.full(volumes, 0.1), features[:, 0], features[:, 0] / np.ptp(features[:, 0]) + 7, np.zeros(volumes)]
    found = basis(np.column_stack([features, *more]).astype(np.float32).astype(np.float64), line=line)
    fixed = np.column_stack([np.ones(volumes), np.arange(volumes)][: 1 + line])
    assert found.shape[1] == min(columns, volumes - 1 - line)
    np.testing.assert_allclose(found.T @ found, np.eye(found.shape[1]), atol=1e-9)
    np.testing.assert_allclose(fixed.T @ found, 0, atol=1e-9)
    centred = features - fixed @ np.linalg.lstsq(fixed, features, rcond=None)[0]
    rest = centred - found @ (found.T @ centred)
    assert (np.linalg.norm(rest, axis=0) <= 1e-4 * np.linalg.norm(features, axis=0)).all()


@given(st.integers(12, 40), st.integers(1, 4), st.sampled_from([1e-3, 1.0, 1e4]), st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_residuals_are_orthogonal_to_confounds_whatever_the_data(tmp_path_factory, volumes, columns, slope, seed):
    folder, rng = tmp_path_factory.mktemp("any"), np.random.default_rng(seed)
    motion = random_motion(rng, {1: volumes}, columns)
    stored = rng.integers(-9000, 15000, 7)[None] + rng.normal(size=(volumes, 7)) * rng.integers(100, 3000, 7)
    write_subject(folder, "01", {1: stored.astype(np.int16)}, motion, slope=slope)
    found = values(folder)
    centred = found - found.mean(axis=0)
    tolerance = 1e-3 * np.sqrt(volumes) * centred.std(axis=0)
    assert (np.abs(basis(regressors(motion[1]), line=False).T @ centred) <= tolerance).all()


@pytest.mark.parametrize("volumes", [3, 6])
def test_confounds_that_leave_nothing_of_a_short_run_are_refused(tmp_path, volumes):
    lengths = {1: 30, 2: volumes}
    rng = np.random.default_rng(0)
    runs = {run: rng.integers(0, 999, (length, 4), np.int16) for run, length in lengths.items()}
    write_subject(tmp_path, "01", runs, random_motion(rng, lengths, columns=4))
    with pytest.raises(UserError, match=rf"sub-01\.h5: run 2 has {volumes} volumes, of which the \d independent"):
        values(tmp_path, normalisation="zscore+detrend")
    write_motion(tmp_path, "01", random_motion(rng, lengths, columns=1))
    assert np.isfinite(values(tmp_path)).all()


def test_a_subject_without_the_confound_is_one_line_before_anything_is_read(planted, tmp_path):
    _, motion, runs, _ = planted
    for subject in ("01", "02"):
        write_subject(tmp_path, subject, runs, motion)
    with pytest.raises(UserError, match=r"sub-01: no control physio in .*controls_sub-01\.h5"):
        values(tmp_path, ("01", "02"), confounds=("time", "physio"))
    control_path(tmp_path, "02").unlink()
    with pytest.raises(UserError, match=r"controls_sub-02\.h5: no such file; pack the subject again"):
        values(tmp_path, ("01", "02"))
    assert values(tmp_path, ("01", "02"), confounds=("time",)).shape == (250, 27)
