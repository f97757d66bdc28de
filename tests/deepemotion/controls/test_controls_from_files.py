"""The features of controls that were packed: what a volume gets from motion, recordings, phantom and stimulus."""

import numpy as np
import pytest
import torch
from control_dataset import describe, with_controls
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_training import trial

from deepemotion.controls import volume_series
from deepemotion.controls.stimulus import Stimulus
from deepemotion.errors import UserError
from deepemotion.samples.control import load_control
from deepemotion.settings.schema import DataSettings
from deepemotion.subject_file.control_series import EventSeries
from deepemotion.subject_file.folder import open_subjects
from deepemotion.training.checksums import data_checksums


def load(small, control, subjects=("01",), **changes):
    """Return the features of all volumes."""
    wanted = DataSettings(control=control, drop_overlaps=False, **changes)
    with open_subjects(small.out, subjects) as files:
        samples = load_control(files, None, wanted)
        return samples.dense(torch.arange(len(samples))).flatten(1).numpy().copy()


@pytest.fixture
def small(tmp_path):
    made = with_controls(tmp_path, ("01", "02"))
    for subject in ("01", "02"):
        made.pack(subject)
    return made


@pytest.mark.parametrize("control", ["motion", "global-signal", "physio", "phantom"])
def test_values_of_volumes_are_zscored_and_detrended_within_their_run(small, control):
    features = load(small, control, ("01", "02"))
    assert len(features) == 80
    for run in features.reshape(4, 20, -1):
        np.testing.assert_allclose(run.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose((np.arange(20) - 9.5) @ run, 0, atol=1e-4)
        assert np.isclose(run.std(axis=0), 1, atol=1e-4).any()
        assert (np.isclose(run.std(axis=0), 1, atol=1e-4) | (run == 0).all(axis=0)).all()


def test_motion_has_the_differences_too_and_empty_cells_the_mean_of_the_run(small, tmp_path):
    features = load(small, "motion")
    # Six parameters and one confound, with their differences.
    assert features.shape[1] == 2 * 6 + 2
    written = np.loadtxt(tmp_path / "sub-01_run-2_moco.txt")
    differences = np.diff(written, axis=0, prepend=written[:1])
    expected = volume_series.features(differences.astype(np.float32), with_differences=False)
    np.testing.assert_allclose(features[20:, 6:12], expected, atol=1e-4)


@given(arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=st.floats(-1e6, 1e6, width=32)))
@settings(max_examples=50, deadline=None)
def test_features_of_volumes_are_finite_whatever_the_values(values):
    values[::3] = np.nan
    features = volume_series.features(values, with_differences=True)
    assert np.isfinite(features).all()
    assert (np.abs(features.mean(axis=0)) < 1e-3).all()


def events(onset, duration, values, categorical=0):
    names = tuple(f"c{i}" for i in range(np.shape(values)[1]))
    run = np.ones(len(onset), np.int16)
    return EventSeries(
        names, categorical, run, np.array(onset, float), np.array(duration, float), np.array(values, "f4")
    )


def features_of(series, volumes, lag, tr=2.0):
    found = Stimulus([series], tr).features(series, 1, volumes, lag)
    assert found.shape[1] % 3 == 0
    return found[:, : found.shape[1] // 3]


def test_a_stimulus_is_averaged_over_the_time_that_it_shares_with_a_volume():
    # The volume of 2 to 4 s: half a second of 8, then 1.5 s of 4.
    found = features_of(events([0, 2.5], [2.5, 10], [[8], [4]]), 3, lag=0)
    np.testing.assert_allclose(found, [[8, 1], [0.25 * 8 + 0.75 * 4, 1], [4, 1]])


def test_a_stimulus_is_read_the_lag_earlier_and_before_the_run_nothing_is_played():
    found = features_of(events([0, 2], [2, 2], [[8], [4]]), 4, lag=4)
    # Without a value, the mean over the run.
    np.testing.assert_allclose(found, [[6, 0], [6, 0], [8, 1], [4, 1]])


def test_of_several_events_in_a_volume_sd_and_largest_value_are_features_too():
    found = features_of(events(np.arange(0, 4, 0.5), np.full(8, 0.5), np.arange(8)[:, None]), 2, lag=0)
    np.testing.assert_allclose(found, [[1.5, np.sqrt(1.25), 3, 1], [5.5, np.sqrt(1.25), 7, 1]])


def test_a_category_is_the_share_of_the_volume_and_empty_cells_do_not_count():
    series = events([0, 3], [3, 5], [[np.nan, 1, 0], [2, 0, 1]], categorical=2)
    found = features_of(series, 3, lag=0)
    np.testing.assert_allclose(found, [[2, 1, 0, 1], [2, 0.5, 0.5, 1], [2, 0, 1, 1]])


def test_events_at_the_same_time_are_one_share_of_the_volume():
    series = events([0, 0, 1], [1, 2, 1], [[1, 0], [1, 0], [0, 1]], categorical=2)
    np.testing.assert_allclose(features_of(series, 2, lag=0), [[1, 0.5, 1], [0, 0, 0]])


def test_moving_averages_end_at_the_borders_of_the_run():
    found = Stimulus([events([0], [8], [[1]])], 2.0).features(events(range(8), [1] * 8, np.arange(8)[:, None]), 1, 4, 0)
    mean = found[:, 0]
    np.testing.assert_allclose(mean, [0.5, 2.5, 4.5, 6.5])
    np.testing.assert_allclose(found[:, 2], [mean[:3].mean(), mean.mean(), mean.mean(), mean[1:].mean()])
    np.testing.assert_allclose(found[:, 4], mean.mean())


@given(
    st.lists(st.tuples(st.floats(-5, 30), st.floats(0.01, 20), st.floats(-100, 100, width=32)), min_size=1),
    st.floats(0, 10),
)
@settings(max_examples=50, deadline=None)
def test_means_of_a_stimulus_are_within_its_values_and_cover_no_more_than_all_events(rows, lag):
    onset, duration, value = zip(*rows, strict=True)
    series = events(onset, duration, np.array(value)[:, None])
    found = features_of(series, 10, lag)
    covered = found[:, -1] > 0
    assert (found[covered, 0] >= min(value) - 1e-3).all()
    assert (found[covered, 0] <= max(value) + 1e-3).all()
    assert found[:, -1].sum() * 2 <= sum(duration) + 1e-6


def test_subjects_are_compared_on_the_columns_that_all_have(small, tmp_path):
    header, *rows = (tmp_path / "sub-02_run-1_confounds.tsv").read_text().splitlines()
    describe(small, [{"control": "motion", "kind": "timeseries", "file": "sub-{subject}_run-{run}_confounds.tsv"}])
    for run in (1, 2):
        (tmp_path / f"sub-02_run-{run}_confounds.tsv").write_text("\n".join(["other\tx", *rows]) + "\n")
    for subject in ("01", "02"):
        small.pack(subject)
    assert load(small, "motion", ("01", "02")).shape == (80, 2)
    for run in (1, 2):
        (tmp_path / f"sub-02_run-{run}_confounds.tsv").write_text("\n".join(["z\tx", *rows]) + "\n")
    small.pack("02")
    with pytest.raises(UserError, match="control motion: the subjects 01, 02 have no column in common"):
        load(small, "motion", ("01", "02"))
    assert header == "fd\tother"


def test_columns_of_a_stimulus_are_compared_by_name_whatever_their_order(small, tmp_path):
    describe(small, [{"control": "stimulus", "kind": "events", "file": "sub-{subject}_{run}_events.tsv"}])
    for run in (1, 2):
        (tmp_path / f"sub-01_{run}_events.tsv").write_text("onset\tduration\ta\tb\tc\n0\t20\t1\t2\tx\n")
        (tmp_path / f"sub-02_{run}_events.tsv").write_text("onset\tduration\tb\tc\ta\n0\t20\t2\tx\t1\n")
    for subject in ("01", "02"):
        small.pack(subject)
    features = load(small, "stimulus", ("01", "02"))
    assert (features[:, :2] == [1, 2]).all()
    np.testing.assert_array_equal(features[:40], features[40:])


def test_sources_in_another_order_are_not_mixed_up(small, tmp_path):
    sources = [
        {"control": "motion", "kind": "motion", "file": f"{name}sub-{{subject}}_run-{{run}}_moco.txt"}
        for name in ("", "b_")
    ]
    for subject, described in (("01", sources), ("02", sources[::-1])):
        for run in (1, 2):
            np.savetxt(tmp_path / f"b_sub-{subject}_run-{run}_moco.txt", np.ones((20, 6)))
        describe(small, described)
        small.pack(subject)
    with pytest.raises(UserError, match="control motion is made of other files, or in another order; pack all"):
        load(small, "motion", ("01", "02"))


def test_a_missing_control_is_one_line_with_what_to_do(small):
    describe(small, [])
    small.pack()
    with pytest.raises(UserError, match=r"sub-01: no control motion in .*controls_sub-01\.h5; name its files in the"):
        load(small, "motion")
    small.controls.unlink()
    with pytest.raises(UserError, match=r"controls_sub-01\.h5: no such file; pack the subject again"):
        load(small, "global-signal")


def test_a_training_depends_on_the_control_that_it_uses_and_on_no_other(small, tmp_path, tiny_labels):
    from deepemotion.labels.table import Labels

    def checksums(control):
        wanted = trial(f"data.control={control}", "model.name=linear")
        with open_subjects(small.out, ["01"]) as files:
            return data_checksums(wanted, files, Labels.read(tiny_labels))

    before = {control: checksums(control) for control in ("time", "motion", "physio")}
    assert "controls-01" not in before["time"]
    np.savetxt(tmp_path / "sub-01_run-2_moco.txt", np.ones((20, 6)))
    small.pack()
    assert checksums("motion") != before["motion"]
    assert [checksums(control) for control in ("time", "physio")] == [before["time"], before["physio"]]
