"""Observers beside models, from synthetic tables whose truth is known."""

import numpy as np
import pytest
from synthetic_study import VOLUMES

from launcher.evidence.ceiling import ceiling_note
from launcher.evidence.findings import compute_findings

LABEL = np.repeat(np.arange(VOLUMES // 5) % 3, 5)


def test_accuracy_is_given_as_a_share_of_what_observers_reach(study):
    study.with_observers(np.full(VOLUMES, 8), np.where(LABEL == 0, 8, 6))
    study.trial("sub-01", 0.5)
    row = study.statistics().loc["sub-01"]
    assert row["observers_ceiling"] == pytest.approx(10 / 12)
    assert row["share_of_ceiling"] == pytest.approx(0.5 / (10 / 12))
    assert row["observers_ceiling_low"] < 10 / 12 < row["observers_ceiling_high"]
    assert row["share_of_ceiling_low"] < row["share_of_ceiling"] < row["share_of_ceiling_high"]
    assert [row[f"observers_ceiling_{name}"] for name in ("ANGER", "FEAR", "LOVE")] == [1, 0.75, 0.75]


def test_observers_are_described_once_by_class(study):
    study.with_observers(np.full(VOLUMES, 8), np.where(LABEL == 0, 8, 6))
    for subject in ("01", "02"):
        study.trial(f"sub-{subject}", 0.5)
    (said,) = [note for note in compute_findings(*study.tables()).notes if "observer" in note]
    assert said.startswith("an observer agrees with the label of the others in 83.3 % [")
    assert "]: ANGER 100.0, FEAR 75.0, LOVE 75.0; of observers: " in said


def test_only_tested_volumes_count(study):
    study.with_observers(np.full(VOLUMES, 8), np.full(VOLUMES, 8))
    study.trial("sub-01", 0.5)
    tested = study.predictions[0]
    assert (tested["split"] == "validation").all()
    tested.loc[LABEL == 1, "split"] = "train"
    tested.loc[LABEL == 1, "observers_right"] = 0
    assert study.statistics().loc["sub-01", "observers_ceiling"] == 1


def test_labels_that_say_nothing_about_observers_give_no_ceiling(study):
    study.trial("sub-01", 0.5)
    table = study.statistics()
    assert table[[name for name in table if "ceiling" in name]].isna().all(axis=None)
    assert "the labels do not say how well observers agree" in ceiling_note(table)
    # One of two folds was trained before the labels said it.
    study.with_observers(np.full(VOLUMES, 8), np.full(VOLUMES, 6))
    study.trial("sub-01", 0.5, fold=2)
    assert np.isnan(study.statistics().loc["sub-01", "observers_ceiling"])
