"""Declared comparisons, from synthetic tables whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from launcher.evidence.comparisons import comparison_table, sentences
from launcher.planning.comparisons import Comparison
from launcher.tables.selection import Trials

ONE = [Comparison("cnn3d", "linear", (("a", "b"),))]


def trials(*rows):
    return Trials(pd.DataFrame(rows).astype({"fold": "Int64"}))


def trial(condition, accuracy, fold, training_set="sub-01", **changes):
    row = {"trial": f"{training_set}-{condition}-{fold}", "training_set": training_set, "condition": condition}
    row |= {
        "setup": condition,
        "protocol": "run",
        "fold": fold,
        "seed": 0,
        "permutation": 0,
        "state": "done",
        "control": "",
        "outer": None,
        "curve": "",
    }
    return row | {"n_train": 80, "n_validation": 20, "accuracy_validation": accuracy} | changes


def folds(accuracies, condition, training_set="sub-01", **changes):
    return [trial(condition, one, fold, training_set, **changes) for fold, one in enumerate(accuracies, start=1)]


def test_the_difference_is_tested_over_folds_of_the_mean_over_subjects():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 3, 5))
    rows = [row for i in range(3) for row in folds(first[i], "a", f"sub-{i}") + folds(second[i], "b", f"sub-{i}")]
    (row,) = comparison_table(trials(*rows), ONE).to_dict("records")
    differences = (first - second).mean(axis=0)
    t = differences.mean() / np.sqrt((1 / 5 + 20 / 80) * differences.var(ddof=1))
    assert row["p"] == row["p_holm"] == pytest.approx(2 * stats.t.sf(abs(t), 4))
    assert row["difference"] == pytest.approx(differences.mean())
    assert row["low"] < row["difference"] < row["high"]
    assert (row["models"], row["n"], row["folds"], row["seeds"]) == ("single-subject", 3, 5, 1)
    assert row["first_accuracy"] - row["second_accuracy"] == pytest.approx(row["difference"])


def test_seeds_are_no_further_folds():
    once = [*folds([0.5, 0.6, 0.4], "a"), *folds([0.4, 0.4, 0.4], "b")]
    again = [row | {"seed": seed} for row in once for seed in (0, 1, 2)]
    one, three = (comparison_table(trials(*rows), ONE).iloc[0] for rows in (once, again))
    assert (one["folds"], three["folds"], three["seeds"]) == (3, 3, 3)
    assert three["p"] == pytest.approx(one["p"])


def test_only_what_both_have_counts():
    rows = [*folds([0.5, 0.6, 0.4], "a"), *folds([0.4, 0.4], "b"), *folds([0.9, 0.9, 0.9], "a", "sub-02")]
    rows += [
        trial("b", 0.4, 3, state="failed"),
        trial("b", 0.0, 1, permutation=1),
        *folds([0.1], "b", protocol="block"),
    ]
    (row,) = comparison_table(trials(*rows), ONE).to_dict("records")
    assert (row["protocol"], row["n"], row["folds"]) == ("run", 1, 2)
    assert row["difference"] == pytest.approx(0.15)


def test_settings_that_a_later_launch_changed_count_alone():
    rows = [*folds([0.1, 0.2], "a", setup="old"), *folds([0.5, 0.6], "a", setup="new"), *folds([0.4, 0.4], "b")]
    (row,) = comparison_table(trials(*rows), ONE).to_dict("records")
    assert row["difference"] == pytest.approx(0.15)


def test_models_that_leave_subjects_out_are_compared_on_those():
    unseen = {"accuracy_unseen": 0.7, "n_unseen": 4}
    rows = [*folds([0.2, 0.3], "a", "without-01", **unseen), *folds([0.2, 0.1], "b", "without-01", **unseen)]
    rows[0]["accuracy_unseen"] = 0.9
    rows += [*folds([0.5, 0.6], "a", "pooled"), *folds([0.4, 0.3], "b", "pooled")]
    table = comparison_table(trials(*rows), ONE).set_index("models")
    assert table.loc["left-out subjects", "difference"] == pytest.approx(0.1)
    assert table.loc["pooled", "difference"] == pytest.approx(0.2)
    # Folds overlap in the movie, whichever subject is left out.
    assert table["test_train_ratio"].eq(0.25).all()


def test_p_is_corrected_for_the_pairs_that_were_declared():
    rng = np.random.default_rng(1)
    rows = [row for name in "abcd" for row in folds(rng.random(6), name)]
    wanted = [Comparison("x", "y", (("a", "b"), ("c", "d"))), Comparison("a", "c", (("a", "c"),))]
    table = comparison_table(trials(*rows), wanted)
    assert len(table) == 3
    assert (table["p_holm"] >= table["p"]).all()
    assert table["p_holm"].min() == pytest.approx(min(1, 3 * table["p"].min()))
    assert "(a, b), single-subject" in sentences(table, wanted)[0]


def test_equal_models_seldom_differ():
    rng = np.random.default_rng(2)
    found = []
    for _ in range(200):
        rows = [*folds(rng.binomial(20, 0.4, 8) / 20, "a"), *folds(rng.binomial(20, 0.4, 8) / 20, "b")]
        found.append(comparison_table(trials(*rows), ONE)["p"].iloc[0])
    assert np.mean(np.array(found) <= 0.05) <= 0.05
    rows = [*folds(rng.binomial(20, 0.9, 8) / 20, "a"), *folds(rng.binomial(20, 0.3, 8) / 20, "b")]
    assert comparison_table(trials(*rows), ONE)["p"].iloc[0] < 0.001


def test_it_is_said_in_a_sentence():
    rows = [*folds([0.5, 0.6, 0.4], "a"), *folds([0.4, 0.4, 0.4], "b")]
    (said,) = sentences(comparison_table(trials(*rows), ONE), ONE)
    assert said.startswith("cnn3d against linear, single-subject, run: 50.0 against 40.0 %, difference +10.0 [")
    assert said.endswith("(corrected resampled t-test over 3 folds; models: 1)")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([trial("a", 0.5, 1), trial("b", 0.4, 1)], "difference +10.0; with a single fold there is nothing to compare"),
        ([trial("a", 0.5, pd.NA), trial("b", 0.5, pd.NA)], "difference +0.0; with a single fold"),
        ([trial("a", 0.5, 1), trial("a", 0.5, 2)], "nothing to compare yet, since no fold of both is done"),
        (
            [*folds([0.5, 0.5], "a"), *folds([0.25, 0.25], "b")],
            "difference +25.0 in every fold, so no interval and no p",
        ),
    ],
)
def test_what_cannot_be_tested_is_said(rows, words):
    (said,) = sentences(comparison_table(trials(*rows), ONE), ONE)
    assert words in said


def test_without_a_declaration_nothing_is_compared():
    table = comparison_table(trials(trial("a", 0.5, 1), trial("b", 0.4, 1)), [])
    assert table.empty
    assert sentences(table, []) == []
