"""Permuted labels: what stays, what moves, and that subjects and trainings agree on it."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepemotion import config_files
from deepemotion.labels.table import Labels
from deepemotion.samples.load import load
from deepemotion.samples.movie_blocks import label_blocks, moment_positions
from deepemotion.samples.permutation import LEAST_SHIFT, order, permuted
from deepemotion.samples.samples import SampleTable
from deepemotion.settings.schema import DataSettings, make_trial, read_settings
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

KINDS = pytest.mark.parametrize("kind", ["shift", "block"])


def settings(k, kind="shift"):
    return DataSettings(permutation=k, permute=kind)


def recording(runs, subjects=("01",), cut=()):
    """Make a table from the labels of each run; `cut` = (subject, run, volumes kept)."""
    rows = [
        (subject, run, i, 1000.0 * run + 2 * i, label)
        for subject in subjects
        for run, labels in runs.items()
        for i, label in enumerate(labels)
        if not any((subject, run) == (who, where) and i >= kept for who, where, kept in cut)
    ]
    subject, run, index, time, label = map(np.array, zip(*rows, strict=True))
    return SampleTable(subject, run.astype(np.int8), index, time, time, label, np.eye(5, dtype=np.float32)[label])


def counts(table):
    return {
        (subject, run): np.bincount(table.label[(table.subject == subject) & (table.run == run)], minlength=5).tolist()
        for subject in np.unique(table.subject)
        for run in np.unique(table.run)
    }


def transitions(label):
    """Count the changes of label around the circle."""
    return int((label != np.roll(label, 1)).sum())


runs = st.dictionaries(st.integers(1, 8), st.lists(st.integers(0, 4), min_size=1, max_size=60), min_size=1, max_size=4)


@given(runs=runs, k=st.integers(1, 10_000), kind=st.sampled_from(["shift", "block"]), subjects=st.integers(1, 3))
def test_class_counts_of_every_run_and_subject_stay(runs, k, kind, subjects):
    table = recording(runs, [f"{i:02d}" for i in range(subjects)])
    new = permuted(table, settings(k, kind))
    assert counts(new) == counts(table)
    chosen = order(table, settings(k, kind))
    assert sorted(chosen.tolist()) == list(range(len(table)))
    assert np.array_equal(table.subject[chosen], table.subject)
    assert np.array_equal(table.run[chosen], table.run)


@given(
    runs=runs,
    k=st.integers(1, 10_000),
    kind=st.sampled_from(["shift", "block"]),
    kept=st.integers(1, 60),
    data=st.data(),
)
def test_one_moment_has_one_label_in_all_subjects_even_where_one_run_is_short(runs, k, kind, kept, data):
    short = data.draw(st.sampled_from(sorted(runs)))
    table = permuted(recording(runs, ["01", "02", "03"], [("02", short, kept)]), settings(k, kind))
    seen = {}
    for run, time, label in zip(table.run.tolist(), table.movie_time.tolist(), table.label.tolist(), strict=True):
        assert seen.setdefault((run, time), label) == label
    alone = permuted(recording(runs, ["03"]), settings(k, kind))
    assert np.array_equal(table.label[table.subject == "03"], alone.label)


@given(labels=st.lists(st.integers(0, 4), min_size=2, max_size=200), k=st.integers(1, 10_000))
def test_a_shift_is_circular_and_never_small(labels, k):
    table = recording({1: labels})
    chosen = order(table, settings(k))
    offset = int(chosen[0])
    assert np.array_equal(chosen, (np.arange(len(labels)) + offset) % len(labels))
    least = max(1, min(LEAST_SHIFT, len(labels) // 4))
    assert least <= offset <= len(labels) - least
    assert transitions(table.label[chosen]) == transitions(table.label)


@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=200), k=st.integers(1, 10_000))
def test_a_block_stays_whole(labels, k):
    table = recording({1: labels})
    chosen = order(table, settings(k, "block"))
    block = label_blocks(table.run, table.movie_time, table.label)
    inside = np.flatnonzero(np.diff(block) == 0)
    place = np.argsort(chosen)
    assert np.array_equal(place[inside + 1], place[inside] + 1)


@KINDS
def test_permutations_differ_from_the_truth_and_from_each_other(kind):
    rng = np.random.default_rng(0)
    table = recording({run: np.repeat(rng.integers(0, 5, 20), rng.integers(2, 9, 20)) for run in range(1, 9)})
    labels = [permuted(table, settings(k, kind)).label for k in range(30)]
    assert np.array_equal(labels[0], table.label)
    assert len({label.tobytes() for label in labels}) == 30
    assert np.array_equal(labels[7], permuted(table, settings(7, kind)).label)
    for label in labels[1:]:
        assert (label == table.label).mean() < 0.5


@KINDS
def test_a_run_is_permuted_the_same_whatever_else_there_is(kind):
    one, other = [0] * 20 + [1] * 30 + [2] * 9, [3] * 30 + [4] * 12
    both = permuted(recording({2: one, 5: other}), settings(3, kind))
    alone = permuted(recording({5: other}), settings(3, kind))
    assert np.array_equal(both.label[both.run == 5], alone.label)


def test_only_labels_change():
    table = recording({1: [0, 0, 1, 1, 2, 2, 3, 3]}, ["01", "02"])
    new = permuted(table, settings(1))
    for field in dataclasses.fields(table):
        if field.name not in ("label", "soft"):
            assert np.array_equal(getattr(new, field.name), getattr(table, field.name))


@KINDS
def test_a_training_sees_the_permuted_labels(tiny_packed, tiny_labels, tmp_path, kind):
    changes = ["train.epochs=1", "data.permutation=4", f"data.permute={kind}"]
    trial = make_trial(read_settings(config_files.find("demo"), changes), ["01", "03"], [])
    train(trial, tiny_packed, tiny_labels, TrialDirectory(tmp_path), lambda metrics: None)
    labels = Labels.read(tiny_labels)
    expected = permuted(load(tiny_packed, ["01", "03"], labels, trial.data).table, trial.data).label
    predicted = pd.read_parquet(tmp_path / "predictions.parquet")
    assert predicted["label"].tolist() == [labels.classes[i] for i in expected]


def test_blocks_go_on_where_volumes_are_left_out_and_are_the_same_in_all_subjects():
    run = np.array([1, 1, 1, 1, 2, 2, 1, 1])
    time = np.array([0.0, 2.0, 40.0, 42.0, 42.0, 44.0, 2.0, 40.0 + 1e-9])
    label = np.array([0, 0, 0, 1, 1, 1, 0, 0])
    assert label_blocks(run, time, label).tolist() == [0, 0, 0, 1, 2, 2, 0, 0]
    assert moment_positions(run, time).tolist() == [0, 1, 2, 3, 0, 1, 1, 2]
    assert label_blocks(run[:0], time[:0], label[:0]).tolist() == []
