"""What is told of a run, from statistics that are made up."""

import pandas as pd
import pytest

from launcher.evidence import text_tables
from launcher.evidence.ceiling import CEILING, SHARE
from launcher.evidence.findings import Findings
from launcher.tables.selection import Trials


def statistic(training_set, accuracy, split="validation", **changes):
    row = {"training_set": training_set, "condition": "lr-0.001", "setup": "a", "protocol": "block", "split": split}
    row |= {"conditions": 1, "nested": False}
    row |= {"trials": 2, "planned": 2, "n": 100, "accuracy": accuracy, "balanced_accuracy": 0.5, "macro_f1": 0.4}
    row |= {f"{name}_{end}": 0.4 for name in ("accuracy", "balanced_accuracy", "macro_f1") for end in ("low", "high")}
    row |= {f"{name}{end}": float("nan") for name in (CEILING, SHARE) for end in ("", "_low", "_high")}
    row |= {"ece": 0.1, "label_only_accuracy": 0.3, "majority_accuracy": 0.25, "chance": 0.2}
    row |= dict.fromkeys(("p_conditions", "p_holm", "p_bh"), float("nan"))
    row |= {"best_control": "", "best_control_accuracy": float("nan"), "beats_controls": pd.NA}
    row |= changes
    return row | {"beats_labels": accuracy > row["label_only_accuracy"]}


def trial(row, accuracy_train=0.8):
    names = ("training_set", "condition", "setup", "protocol")
    place = {"fold": 1, "outer": None, "seed": 0, "permutation": 0, "state": "done", "curve": ""}
    return {**{name: row[name] for name in names}, **place, "accuracy_train": accuracy_train}


def lines(table):
    """Return each row as a dictionary."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def best(*rows):
    trials = pd.DataFrame([trial(row) for row in rows if row["split"] == "validation"])
    return lines(text_tables.best_models(pd.DataFrame(rows), Trials(trials)))


def test_protocols_of_a_model_have_rows_of_their_own_and_keep_their_mark():
    block = statistic("sub-01", 0.5)
    random = statistic("sub-01", 0.786, protocol="random", setup="b", label_only_accuracy=0.893)
    rows = best(block, random)
    assert [(row["protocol"], row["validation"]) for row in rows if row["model"] == "sub-01"] == [
        ("block", "50.0"),
        ("random", "78.6 †"),
    ]
    evidence = lines(text_tables.evidence(pd.DataFrame([block, random])))
    assert [(row["protocol"], row["accuracy"]) for row in evidence] == [
        ("block", "50.0 [40, 40]"),
        ("random", "78.6 [40, 40] †"),
    ]


def test_the_mean_of_nested_selections_is_chosen_inside_only_where_there_was_no_choice_among_them():
    nested = {"nested": True, "condition": "nested"}
    for conditions, said in ((1, "each chosen inside"), (2, "each its best")):
        *_, mean = best(*(statistic(name, 0.5, conditions=conditions, **nested) for name in ("sub-01", "sub-02")))
        assert (mean["model"], mean["condition"]) == ("single-subject (n = 2)", said)


def test_columns_that_say_nothing_are_left_out():
    table = text_tables.evidence(pd.DataFrame([statistic("sub-01", 0.5), statistic("pooled", 0.6)]))
    assert table.columns == ["model", "n", "accuracy", "balanced accuracy", "macro F1", "ECE", "labels alone"]
    table = text_tables.evidence(pd.DataFrame([statistic("sub-01", 0.5, p_conditions=0.05), statistic("pooled", 0.6)]))
    assert table.columns[-1] == "p"


def test_observers_stand_beside_the_accuracy():
    known = {CEILING: 0.8, SHARE: 0.625, f"{CEILING}_low": 0.7, f"{CEILING}_high": 0.9}
    known |= {f"{SHARE}_low": 0.5, f"{SHARE}_high": 0.75}
    (row, other) = lines(
        text_tables.evidence(pd.DataFrame([statistic("sub-01", 0.5, **known), statistic("pooled", 0.5)]))
    )
    assert (row["observers"], row["of observers"]) == ("80.0 [70, 90]", "62.5 [50, 75]")
    assert other["observers"] == other["of observers"] == ""


def test_settings_that_a_later_launch_changed_are_told_apart():
    first, second = statistic("sub-01", 0.5), statistic("pooled", 0.6, setup="b")
    assert [row["condition"] for row in best(first, second)[:2]] == ["lr-0.001 (setup a)", "lr-0.001 (setup b)"]


def test_the_mean_of_each_its_best_is_over_single_subject_models_only():
    left_out = (statistic("without-01", 0.9), statistic("without-01", 0.4, "unseen"))
    (row,) = best(*left_out)
    assert (row["model"], row["validation"], row["unseen"]) == ("without-01", "90.0", "40.0")
    rows = best(statistic("sub-01", 0.4), statistic("sub-02", 0.6), *left_out)
    assert (rows[-1]["model"], rows[-1]["validation"]) == ("single-subject (n = 2)", "50.0 ± 14.1")
    assert rows[-1]["unseen"] == rows[-1]["trials"] == ""


def test_the_difference_of_paired_models_has_its_sign():
    where = {"condition": "lr-0.001", "setup": "a", "protocol": "block", "subjects": 6, "single": 0.6, "pooled": 0.7}
    (said,) = text_tables.pairs(pd.DataFrame([where | {"difference": 0.1, "low": -0.02, "high": 0.22, "p": 0.03125}]))
    assert said.startswith("pooled against single-subject, lr-0.001, block: 70.0 against 60.0 %")
    assert "difference +10.0 [-2.0, +22.0], p = 0.031" in said
    assert text_tables.pairs(pd.DataFrame()) == []


def test_a_run_with_nothing_done_has_no_tables():
    nothing = pd.DataFrame()
    assert text_tables.tables(Findings(Trials(nothing))) == []


def test_conditions_stand_side_by_side():
    linear = {"condition": "linear", "setup": "a", "p_conditions": 0.05}
    cnn = {"condition": "cnn3d", "setup": "b", "p_conditions": 0.6}
    rows = [statistic(name, 0.3, **cnn) for name in ("sub-01", "sub-02", "all single-subject", "pooled")]
    rows += [statistic("sub-01", 0.5, **linear), statistic("sub-02", 0.7, **linear)]
    rows += [
        statistic("all single-subject", 0.6, **linear | {"p_conditions": 0.01}),
        statistic("pooled", 0.8, **linear),
    ]
    table = text_tables.conditions(pd.DataFrame(rows))
    assert table.columns == ["condition", "protocol", "single-subject", "pooled", "labels alone", "p"]
    assert table.rows == [
        ["cnn3d", "block", "30.0 ± 0.0 (n = 2) †", "30.0 †", "30.0", "0.6"],
        ["linear", "block", "60.0 ± 14.1 (n = 2)", "80.0", "30.0", "0.01"],
    ]


def test_a_condition_says_what_its_models_score_on_subjects_they_never_saw():
    rows = [statistic(f"without-{name}", 0.9) for name in ("01", "02")]
    unseen = {"split": "unseen", "label_only_accuracy": 0.45, "p_conditions": 0.5}
    rows += [statistic("without-01", 0.4, **unseen), statistic("without-02", 0.6, **unseen)]
    rows.append(statistic("all left-out subjects", 0.5, **unseen | {"p_conditions": 0.05}))
    (row,) = lines(text_tables.conditions(pd.DataFrame(rows)))
    assert row == {
        "condition": "lr-0.001",
        "protocol": "block",
        "unseen subjects": "50.0 ± 14.1 (n = 2)",
        "labels alone, unseen": "45.0",
        "p, unseen": "0.05",
    }


@pytest.mark.parametrize(("model", "split"), [("sub-01", "validation"), ("without-01", "unseen")])
def test_a_model_alone_of_its_kind_has_its_own_p(model, split):
    (row,) = lines(text_tables.conditions(pd.DataFrame([statistic(model, 0.5, split, p_conditions=0.25)])))
    assert "0.25" in row.values()
