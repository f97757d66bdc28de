"""What a run is said to show, from synthetic tables whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from synthetic_study import FOLDS, VOLUMES

from launcher.evidence.findings import best_rows, marks, notes
from launcher.evidence.models import ALL_SINGLE
from launcher.evidence.statistics import score_table
from launcher.tables.selection import Trials


def test_a_planted_skill_beats_every_permutation(study):
    study.model("sub-01", 0.9)
    row = study.statistics().loc["sub-01"]
    assert row["accuracy"] == pytest.approx(0.9)
    assert (row["n"], row["blocks"], row["trials"], row["planned"]) == (120, 24, 2, 2)
    assert row["accuracy_low"] < 0.9 < row["accuracy_high"]
    assert row["permutations"] == 19
    assert row["p"] == row["p_conditions"] == row["p_holm"] == row["p_bh"] == row["p_balanced_accuracy"] == 0.05
    assert row["beats_labels"]
    assert row["ece"] == pytest.approx(0.1)
    assert marks(row) == ""


def test_folds_are_put_together_before_classes_are_averaged(study):
    study.trial("sub-01", 1.0, fold=1)
    study.trial("sub-01", 0.0, fold=2)
    half = study.predictions[-2]
    # The second fold has one class only: a mean of the folds' balanced accuracies would be 1/2, not 2/3.
    half["label"], half["prediction"] = "ANGER", "FEAR"
    row = study.statistics().loc["sub-01"]
    recalls = [20 / 80, 20 / 20, 20 / 20]
    assert row["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert row["accuracy"] == pytest.approx(0.5)


def test_without_skill_p_is_small_as_seldom_as_it_says(study):
    for i in range(60):
        study.trial(f"sub-{i:03d}", study.rng.binomial(VOLUMES, 1 / 3) / VOLUMES)
        for k in range(1, 20):
            study.trial(f"sub-{i:03d}", study.rng.binomial(VOLUMES, 1 / 3) / VOLUMES, permutation=k)
    table = study.statistics().drop(ALL_SINGLE)
    assert 0.3 < table["p"].mean() < 0.7
    assert (table["p"] <= 0.05).mean() <= 0.15
    assert (table["p_bh"] > 0.05).all()
    assert (table["p_holm"] == 1).all()


def test_only_permutations_with_every_fold_and_seed_count(study):
    study.model("sub-01", 0.9, permutations=3)
    study.trial("sub-01", 1.0, fold=1, permutation=4)
    study.trial("sub-01", 1.0, fold=2, permutation=4, state="failed")
    study.trial("sub-01", 1.0, fold=3, permutation=1)
    row = study.statistics().loc["sub-01"]
    assert row["permutations"] == 3
    assert row["p"] == 0.25


def test_without_permutations_p_is_empty_and_it_is_said(study):
    study.model("sub-01", 0.9, permutations=0)
    found = study.findings()
    trials, table = found.trials, found.scores
    assert table[["p", "p_balanced_accuracy", "p_conditions", "p_holm", "p_bh"]].isna().all(axis=None)
    assert any("p is empty since there are no permutations" in note for note in notes(table, trials))
    assert marks(table.iloc[0]) == ""


def test_models_of_a_kind_are_corrected_together(study):
    for subject, skill in (("01", 0.9), ("02", 0.9), ("03", 0.2)):
        study.model(f"sub-{subject}", skill)
    study.model("pooled", 0.9, subjects=["01", "02", "03"])
    table = study.statistics()
    assert table.loc["pooled", "p_holm"] == table.loc["pooled", "p"] == 0.05
    assert table["p_holm"].loc[["sub-01", "sub-02", "sub-03"]].tolist() == pytest.approx([0.15, 0.15, 1.0])
    assert table["p_bh"].loc[["sub-01", "sub-02", "sub-03"]].tolist() == pytest.approx([0.075, 0.075, 1.0])
    together = table.loc[ALL_SINGLE]
    assert together["accuracy"] == pytest.approx(2 / 3)
    assert (together["n"], together["trials"], together["p"]) == (360, 6, 0.05)
    # The movie's stretches are the same for all subjects.
    assert together["blocks"] == table.loc["sub-01", "blocks"] == 24
    assert marks(table.loc["sub-03"]) == "†‡"
    order = best_rows(table.reset_index())["training_set"].tolist()
    assert order == ["sub-01", "sub-02", "sub-03", ALL_SINGLE, "pooled"]


def test_q_of_exactly_the_level_is_no_mark(study):
    for i in range(1, 7):
        study.model(f"sub-{i:02d}", 0.9)
    assert [marks(row) for _, row in study.statistics().iterrows()] == [""] * 7


def test_having_chosen_the_best_condition_costs(study):
    for condition in range(6):
        study.model("sub-01", 0.5, permutations=0, condition=f"lr-{condition}", setup=str(condition))
        for k in range(1, 20):
            skill = 0.6 if k in (condition, 10 + condition) else 0.3
            for fold in FOLDS:
                study.trial("sub-01", skill, fold, k, condition=f"lr-{condition}", setup=str(condition))
    table = study.statistics()
    assert table["conditions"].eq(6).all()
    assert table["p"].max() == pytest.approx(3 / 20)
    # Eleven of the nineteen permutations have some condition that does better.
    assert table["p_conditions"].tolist() == pytest.approx([12 / 20] * 6)
    shown = best_rows(table.reset_index())
    assert len(shown) == 1
    assert any("p counts that it was chosen" in note for note in notes(table.reset_index(), study.tables()[0]))


def test_labels_alone_are_weighed_by_volumes(study):
    study.trial("pooled", 0.7, fold=1, subjects=["01", "02", "03"], label_only_accuracy=0.9)
    study.trial("pooled", 0.7, fold=2, subjects=["01"], label_only_accuracy=0.1)
    row = study.statistics().loc["pooled"]
    assert row["label_only_accuracy"] == pytest.approx(0.7)
    assert not row["beats_labels"]
    assert marks(row) == "†"


def test_unseen_subjects_have_a_row_and_an_audit_of_their_own(study):
    study.trial("without-01", 0.6, subjects=["02"], label_only_accuracy_unseen=0.97, majority_accuracy_unseen=0.3)
    name = study.trials[-1]["trial"]
    study._answer(name, "01", 1, 0.8, "unseen")
    assert study.statistics("validation").loc["without-01", "accuracy"] == pytest.approx(0.6)
    row = study.statistics("unseen").loc["without-01"]
    assert (row["accuracy"], row["label_only_accuracy"]) == pytest.approx((0.8, 0.97))
    assert not row["beats_labels"]


def test_models_that_leave_subjects_out_answer_together_for_those(study):
    for subject, skill in (("01", 0.9), ("02", 0.7), ("03", 0.5)):
        others = [other for other in ("01", "02", "03") if other != subject]
        for k in range(20):
            study.trial(f"without-{subject}", 1.0, permutation=k, subjects=others, label_only_accuracy_unseen=0.5)
            study.trials[-1] |= {"majority_accuracy_unseen": 0.3}
            study._answer(study.trials[-1]["trial"], subject, 1, 1 / 3 if k else skill, "unseen")
    trials, held_out = study.tables()
    table = score_table(trials, held_out)
    (row,) = table[table["training_set"] == "all left-out subjects"].to_dict("records")
    assert (row["split"], row["n"], row["trials"], row["permutations"]) == ("unseen", 180, 3, 19)
    assert row["accuracy"] == pytest.approx(0.7)
    assert row["beats_labels"]
    # One question of all subjects, which needs no correction over them.
    assert row["p"] == row["p_holm"] == row["p_bh"] == 0.05
    assert best_rows(table)["training_set"].iloc[-1] == "all left-out subjects"


def test_other_settings_are_another_row_and_new_labels_replace_the_old(study):
    study.trial("sub-01", 0.2)
    study.trial("sub-01", 0.6)
    study.trial("sub-01", 0.9, setup="b")
    study.trial("sub-01", 0.9, setup="b", fold=2, state="pending")
    table = study.statistics()
    assert table["accuracy"].tolist() == pytest.approx([0.6, 0.9])
    assert table[["trials", "planned"]].values.tolist() == [[1, 1], [1, 2]]
    assert any("not done yet" in note for note in notes(table.reset_index(), study.tables()[0]))


def test_missing_classes_are_said_once_a_fold(study):
    for subject in ("01", "02"):
        study.trial(f"sub-{subject}", 0.9, fold=2, missing="validation: LOVE")
    found = study.findings()
    trials, table = found.trials, found.scores
    said = [note for note in found.notes if "no volume" in note]
    assert said == ["no volume of a class, run 2 (2 models): validation: LOVE"]
    without_folds = Trials(trials.table.assign(fold=pd.NA, protocol="random"))
    assert "random (2 models)" in notes(table, without_folds)[-1]


def test_a_run_without_predictions_has_no_statistics(study):
    study.trial("sub-01", 0.9, state="pending")
    found = study.findings()
    assert found.scores.empty
    assert found.paired.empty
    assert best_rows(found.scores).empty
    assert found.notes == []


def test_a_fold_without_volumes_of_the_split_changes_nothing(study):
    audit = {"label_only_accuracy_unseen": 0.95, "majority_accuracy_unseen": 0.9}
    empty = {"label_only_accuracy_unseen": np.nan, "majority_accuracy_unseen": np.nan}
    for k in range(3):
        study.trial("without-02", 0.7, 1, k, subjects=["02"], split="unseen", **audit)
        study.trial("without-02", 0.7, 2, k, subjects=["02"], split="train", **empty)
    row = study.statistics("unseen").loc["without-02"]
    assert (row["n"], row["label_only_accuracy"], row["permutations"]) == (VOLUMES, 0.95, 2)
    assert not row["beats_labels"]
