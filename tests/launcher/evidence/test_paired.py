"""The pooled model against single-subject models, from synthetic tables whose truth is known."""

import pytest
from synthetic_study import FOLDS

from launcher.evidence.paired import accuracy_by_subject, single_against_pooled


def test_the_pooled_model_is_compared_on_each_subject_s_own_volumes(study):
    subjects = [f"{i:02d}" for i in range(1, 9)]
    for subject in subjects:
        for fold in FOLDS:
            study.trial(f"sub-{subject}", 0.5, fold)
        study.trial(f"sub-{subject}", 1.0, fold=3)
    for fold in FOLDS:
        study.trial(
            "pooled", {subject: 0.6 + 0.02 * (int(subject) % 2) for subject in subjects}, fold, subjects=subjects
        )
    trials, held_out = study.tables()
    table = accuracy_by_subject(trials, held_out)
    assert table["subject"].tolist() == subjects
    assert table["single"].tolist() == pytest.approx([0.5] * 8)
    assert table["n"].eq(120).all()
    row = single_against_pooled(trials, held_out).iloc[0]
    assert row["subjects"] == 8
    assert row["difference"] == pytest.approx(table["pooled"].mean() - 0.5)
    assert row["low"] < row["difference"] < row["high"]
    assert row["p"] == 2 / 2**8


def test_an_unfinished_trial_on_new_labels_takes_the_former_one_out(study):
    for subject in ("01", "02"):
        study.trial(f"sub-{subject}", 0.5)
    study.trial("pooled", 0.9, subjects=["01", "02"])
    assert len(accuracy_by_subject(*study.tables())) == 2
    study.trials.append({**study.trials[-1], "trial": "new", "state": "pending"})
    assert accuracy_by_subject(*study.tables()).empty
