"""Learning curves from made-up trials whose accuracies follow a known law."""

import numpy as np
import pandas as pd
import pytest

from launcher.evidence.learning_curves import curve_table, learning_curves, sentences
from launcher.evidence.models import ALL_SINGLE
from launcher.tables.held_out import read_right

SIZES = (1, 2, 4, 7)
ORDER = [f"{run}" for run in range(1, 8)]


def law(size):
    return 0.8 - 0.5 * size**-0.5


def over_runs(study, training_set, accuracy=law, sizes=SIZES[:-1], folds=(1, 2), order=ORDER, **changes):
    """Add a model's folds, and its parts on so many runs."""
    for fold in folds:
        study.trial(training_set, accuracy(len(order)), fold, **changes)
        for size in sizes:
            part = {"curve": "runs", "draw": 1, "order": " ".join(order), "train_runs": size, "train_subjects": 1}
            study.trial(training_set, accuracy(size), fold, **part | changes)


def curves_of(study):
    trials, _ = study.tables()
    return learning_curves(trials, read_right(study.path, trials))


def by_set(curves):
    return {(curve.place["training_set"], curve.place["over"]): curve for curve in curves}


def test_the_value_at_twice_the_data_is_that_of_the_true_law(study):
    for subject in ("01", "02", "03"):
        over_runs(study, f"sub-{subject}")
    found = by_set(curves_of(study))
    assert set(found) == {(f"sub-{subject}", "runs") for subject in ("01", "02", "03")} | {(ALL_SINGLE, "runs")}
    curve = found[ALL_SINGLE, "runs"]
    assert (curve.growth.sizes, curve.planned, curve.used, curve.open) == (SIZES, 6, 6, 0)
    # Of 60 volumes, shares are rounded to 1.7 %.
    np.testing.assert_allclose([one.value for one in curve.growth.accuracy], [law(size) for size in SIZES], atol=0.01)
    assert curve.growth.twice.value == pytest.approx(law(14), abs=0.03)
    assert curve.train == (1.0,) * 4


def test_intervals_of_models_together_are_over_models_and_of_one_over_folds(study):
    over_runs(study, "sub-01", lambda size: law(size) - 0.1)
    over_runs(study, "sub-02", lambda size: law(size) + 0.1)
    found = by_set(curves_of(study))
    one, both = found["sub-01", "runs"], found[ALL_SINGLE, "runs"]
    # All folds of a model are alike.
    assert one.growth.twice.high - one.growth.twice.low == pytest.approx(0, abs=1e-9)
    assert both.growth.twice.low == pytest.approx(one.growth.twice.value)
    assert both.growth.twice.low < both.growth.twice.value < both.growth.twice.high


def test_two_sizes_get_no_curve_and_one_line_says_so(study):
    over_runs(study, "sub-01", sizes=[1], order=["1", "2"])
    (curve,) = curves_of(study)
    assert (curve.growth.law, curve.growth.twice) == (None, None)
    (sentence,) = sentences([curve])
    assert sentence.endswith("no curve is fitted, which needs 3 sizes and has 1, 2")
    table = curve_table([curve])
    assert table["measured"].tolist() == [True, True]
    assert table["a"].isna().all()


def test_folds_that_lack_a_part_wait_and_those_of_other_sizes_take_no_part(study):
    over_runs(study, "sub-01", folds=(1, 2, 3))
    over_runs(study, "sub-01", folds=(4,), order=ORDER[:3], sizes=[1, 2])
    study.trials[3]["state"] = "planned"
    (curve,) = curves_of(study)
    assert (curve.planned, curve.used, curve.open) == (4, 2, 1)
    (sentence,) = sentences([curve])
    assert "1 of 4 folds lack a part that is not done yet" in sentence
    assert "1 of 4 folds have other numbers of runs and take no part" in sentence
    for trial in study.trials:
        trial["state"] = "planned"
    trials, _ = study.tables()
    (sentence,) = sentences(learning_curves(trials, pd.DataFrame(columns=["trial", "split", "subject", "right", "n"])))
    assert sentence == "learning curve over runs, sub-01 (lr-0.001, run): no fold has all of its parts yet"


def test_pooled_training_on_more_subjects_is_tested_on_the_subject_that_each_part_has(study):
    skill = {"01": 0.3, "02": 0.9, "03": 0.9}
    for subject, right in skill.items():
        study.trial(f"sub-{subject}", right)
    study.trial("pooled", {"01": 0.7, "02": 0.0, "03": 0.0}, subjects=list(skill))
    part = {"curve": "subjects", "draw": 1, "order": "01 03 02", "train_subjects": 2}
    study.trial("pooled", {"01": 0.5, "03": 0.0}, subjects=["01", "03"], **part)
    (curve,) = curves_of(study)
    assert curve.place["over"] == "subjects"
    assert curve.growth.sizes == (1, 2, 3)
    assert [one.value for one in curve.growth.accuracy] == pytest.approx([0.3, 0.5, 0.7])
    assert curve.n == 60


def test_models_that_leave_subjects_out_are_tested_on_these(study):
    for subject in ("01", "02"):
        own = {"subjects": [subject], "split": "unseen", "protocol": "run x subject"}
        study.trial(f"without-{subject}", 0.6, **own)
        for size, right in ((1, 0.3), (2, 0.5)):
            part = {"curve": "subjects", "draw": 1, "order": "03 04 05", "train_subjects": size}
            study.trial(f"without-{subject}", right, **own | part)
    together = by_set(curves_of(study))["all left-out subjects", "subjects"]
    assert together.place["split"] == "unseen"
    assert [one.value for one in together.growth.accuracy] == pytest.approx([0.3, 0.5, 0.6])
    (sentence,) = sentences(curves_of(study))
    assert sentence.startswith(
        "learning curve over subjects, all left-out subjects (lr-0.001, run x subject): 30.0 % with 1, 60.0 % with 3;"
        " by the fitted curve, twice as many (6) would give "
    )


def test_parts_enter_no_other_table_and_replaced_ones_no_curve(study):
    for subject in ("01", "02"):
        study.model(f"sub-{subject}", 0.6, permutations=1)
    study.model("pooled", {"01": 0.5, "02": 0.7}, permutations=1, subjects=["01", "02"])
    before = study.findings()
    for training_set in ("sub-01", "pooled"):
        part = {"curve": "runs", "draw": 1, "order": "2 3 4", "train_runs": 1, "train_subjects": 1}
        study.trial(training_set, 0.0, subjects=["01", "02"][: 1 + (training_set == "pooled")], **part)
    after = study.findings()
    pd.testing.assert_frame_equal(before.scores, after.scores)
    pd.testing.assert_frame_equal(before.paired, after.paired)
    assert before.notes == after.notes
    assert len(curves_of(study)) == 2
    for trial in study.trials:
        trial["replaced"] = trial["curve"] != ""
    assert curves_of(study) == []
