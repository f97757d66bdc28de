"""The brain against controls, in studies whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from synthetic_study import FOLDS

from launcher.evidence import text_tables
from launcher.evidence.findings import NOT_BEATING, best_rows, marks
from launcher.evidence.models import ALL_SINGLE

P_VALUES = ["p", "p_balanced_accuracy", "p_conditions", "p_holm", "p_bh", "conditions", "permutations"]
SUBJECTS = [f"{i:02d}" for i in range(1, 7)]


def of(found, training_set="sub-01", split="validation"):
    rows = found.scores[(found.scores["training_set"] == training_set) & (found.scores["split"] == split)]
    (row,) = (row for _, row in rows.iterrows())
    return row


def test_a_brain_that_answers_as_its_control_does_not_beat_it(study):
    study.model("sub-01", 0.6)
    study.control("time", "sub-01", 0.6)
    for fold in FOLDS:
        same = next(i for i, row in enumerate(study.trials) if (row["fold"], row["permutation"]) == (fold, 0))
        control = next(i for i, row in enumerate(study.trials) if (row["fold"], row["control"]) == (fold, "time"))
        # Each trial has its volumes of validation, then those of training.
        study.predictions[2 * control] = study.predictions[2 * same].assign(trial=study.trials[control]["trial"])
    found = study.findings()
    row = of(found)
    assert (row["best_control"], row["beats_controls"]) == ("time", False)
    assert row["best_control_accuracy"] == row["accuracy"] == pytest.approx(0.6)
    assert marks(row) == NOT_BEATING
    assert found.compared["difference"].tolist() == [0]
    assert found.compared["p_blocks"].tolist() == [1]
    assert found.on_controls == ["sub-01 (lr-0.001, run): 60.0 % does not exceed time alone, with 60.0 %"]
    assert any(note.startswith(f"{NOT_BEATING} not shown to exceed every control") for note in found.notes)


def test_a_brain_that_is_clearly_better_beats_every_control(study):
    study.model("sub-01", 0.8)
    study.control("time", "sub-01", 0.3)
    study.control("motion", "sub-01", 0.4)
    found = study.findings()
    row = of(found)
    assert (row["best_control"], row["beats_controls"], marks(row)) == ("motion", True, "")
    assert row["best_control_accuracy"] == pytest.approx(0.4)
    compared = found.compared.set_index("control")
    assert compared["difference"].to_dict() == pytest.approx({"time": 0.5, "motion": 0.4})
    assert compared["p_blocks"].max() < 0.01
    assert compared["p_subjects"].isna().all()
    assert (compared["difference_low"] < compared["difference"]).all()
    assert (compared["difference"] < compared["difference_high"]).all()
    assert found.on_controls == ["sub-01 (lr-0.001, run): 80.0 % beats every control; the best is motion with 40.0 %"]


def test_one_control_as_good_as_the_brain_is_enough(study):
    study.model("sub-01", 0.6)
    study.control("time", "sub-01", 0.1)
    study.control("stimulus", "sub-01", 0.57)
    found = study.findings()
    assert not of(found)["beats_controls"]
    assert found.on_controls[0].endswith("60.0 % is not shown to exceed stimulus alone, with 56.7 %")


def test_the_brain_s_numbers_do_not_change_when_there_are_controls(study):
    for subject, skill in (("01", 0.9), ("02", 0.5)):
        study.model(f"sub-{subject}", skill, permutations=9)
        study.model(f"sub-{subject}", skill - 0.1, permutations=9, condition="lr-1", setup="z")
    study.model("pooled", 0.6, permutations=9, subjects=["01", "02"])
    before = study.findings()
    for name in ("sub-01", "sub-02", "pooled"):
        subjects = ["01", "02"] if name == "pooled" else None
        own = {"control": "time", "condition": "control-time", "setup": "c", "subjects": subjects}
        study.model(name, 1.0, permutations=9, null=1.0, **own)
    after = study.findings()
    added = ["best_control", "best_control_accuracy", "beats_controls"]
    pd.testing.assert_frame_equal(before.scores.drop(columns=added), after.scores.drop(columns=added))
    pd.testing.assert_frame_equal(before.paired, after.paired)
    assert before.scores["best_control"].eq("").all()
    assert before.scores["beats_controls"].isna().all()
    assert after.scores["beats_controls"].eq(False).all()
    assert before.notes == [note for note in after.notes if not note.startswith(NOT_BEATING)]
    assert [marks(row) for _, row in before.scores.iterrows()] == [
        marks(row).removesuffix(NOT_BEATING) for _, row in after.scores.iterrows()
    ]
    assert after.controls["p"].eq(1).all()
    assert set(after.controls["training_set"]) == {"sub-01", "sub-02", "pooled", ALL_SINGLE}


def test_subjects_together_have_to_beat_controls_over_subjects_as_well(study):
    for subject in SUBJECTS:
        # The mean is far above the control's because of one subject.
        study.model(f"sub-{subject}", 1.0 if subject == "01" else 0.5, permutations=0)
        study.control("time", f"sub-{subject}", 0.1 if subject == "01" else 0.5)
    found = study.findings()
    row = found.compared[found.compared["training_set"] == ALL_SINGLE].iloc[0]
    assert row["p_blocks"] < 0.05 < row["p_subjects"]
    assert not of(found, ALL_SINGLE)["beats_controls"]
    assert of(found, "sub-01")["beats_controls"]
    # Of models of a kind, the sentence is on all of them together.
    assert [sentence.partition(" (")[0] for sentence in found.on_controls] == [ALL_SINGLE]


@pytest.mark.parametrize(("number", "known"), [(6, True), (3, False)])
def test_subjects_that_are_all_better_beat_the_control_together(study, number, known):
    for subject in SUBJECTS[:number]:
        study.model(f"sub-{subject}", 0.8, permutations=0)
        study.control("time", f"sub-{subject}", 0.4)
    found = study.findings()
    row = found.compared[found.compared["training_set"] == ALL_SINGLE].iloc[0]
    assert row["beats"]
    # Three subjects cannot reach 5 % by their signs: the blocks decide alone.
    assert row["p_subjects"] == 1 / 2**number if known else np.isnan(row["p_subjects"])


def test_only_controls_of_the_same_volumes_labels_and_split_count(study):
    study.model("sub-01", 0.6, permutations=0)
    study.model("sub-01", 0.6, permutations=0, condition="lr-0.001_data.lag_s-0", setup="z", basis="other")
    study.control("time", "sub-01", 0.2)
    study.control("time", "sub-01", 0.9, basis="other", condition="control-time_data.lag_s-0", setup="y")
    scores = study.findings().scores.set_index("setup")
    assert scores["best_control_accuracy"].to_dict() == pytest.approx({"a": 0.2, "z": 0.9})
    assert scores["beats_controls"].to_dict() == {"a": True, "z": False}


def test_a_control_that_is_not_done_leaves_the_comparison_open(study):
    study.model("sub-01", 0.8, permutations=1)
    study.control("time", "sub-01", 0.3)
    study.control("motion", "sub-01", 0.3, folds=[1])
    study.control("motion", "sub-01", 0.3, folds=[2], state="pending")
    found = study.findings()
    row = of(found)
    assert row["beats_controls"] is pd.NA
    assert row["best_control"] == "time"
    assert NOT_BEATING not in marks(row)
    assert "not all controls are done yet" in found.on_controls[0]
    assert any("some controls lack folds" in note for note in found.notes)
    # What is beaten by one of them is beaten whatever the others will be.
    study.control("stimulus", "sub-01", 0.9)
    assert not of(study.findings())["beats_controls"]


def test_a_control_with_several_seeds_is_their_mean(study):
    study.model("sub-01", 0.8, permutations=0)
    study.control("time", "sub-01", 0.2)
    study.control("time", "sub-01", 0.4, seed=1)
    assert of(study.findings())["best_control_accuracy"] == pytest.approx(0.3)


def test_unseen_subjects_are_compared_over_their_own_volumes(study):
    for split, skill, of_control in (("validation", 0.9, 0.2), ("unseen", 0.5, 0.8)):
        study.trial("without-01", skill, subjects=["02"], split=split)
        study.control("time", "without-01", of_control, folds=[1], subjects=["02"], split=split)
    # One trial has both splits.
    for name, first in (("trial-2", "trial-0"), ("trial-3", "trial-1")):
        for i, frame in enumerate(study.predictions):
            study.predictions[i] = frame.assign(trial=frame["trial"].replace(name, first))
    study.trials = study.trials[:2]
    found = study.findings()
    assert of(found, "without-01")["beats_controls"]
    assert not of(found, "without-01", "unseen")["beats_controls"]
    assert of(found, "without-01", "unseen")["best_control_accuracy"] == pytest.approx(0.8)


def test_tables_show_the_best_control_and_all_controls(study):
    for subject in SUBJECTS:
        study.model(f"sub-{subject}", 0.6, permutations=0)
        study.control("time", f"sub-{subject}", 0.3)
        study.control("stimulus", f"sub-{subject}", 0.6)
    conditions, best, evidence, controls = text_tables.tables(study.findings())
    row = dict(zip(conditions.columns, conditions.rows[0], strict=True))
    assert row["single-subject"] == "60.0 ± 0.0 (n = 6) §"
    assert row["best control"] == "stimulus 60.0"
    assert {row[best.columns.index("validation")] for row in best.rows} == {"60.0 §", "60.0 ± 0.0"}
    assert all("§" in row[evidence.columns.index("accuracy")] for row in evidence.rows)
    assert {row[evidence.columns.index("best control")] for row in evidence.rows} == {"stimulus 60.0"}
    assert controls.title.startswith("Controls without a brain")
    assert [row[0] for row in controls.rows] == ["stimulus", "time"]
    assert [row[controls.columns.index("single-subject")] for row in controls.rows] == [
        "60.0 ± 0.0 (n = 6)",
        "30.0 ± 0.0 (n = 6) †",
    ]


def test_without_controls_nothing_is_said_of_them(study):
    study.model("sub-01", 0.6, permutations=0)
    found = study.findings()
    assert (found.on_controls, found.controls.empty, found.compared.empty) == ([], True, True)
    assert not any("control" in note for note in found.notes)
    tables = text_tables.tables(found)
    assert not any("control" in column for table in tables for column in table.columns)
    assert len(best_rows(found.scores)) == 1
