"""The result of a run in words: what is in it, and what it says of what is not."""

import pandas as pd
import pytest

from launcher.evidence.findings import Findings
from launcher.evidence.result import NOTHING, result_sentences
from launcher.tables.selection import Trials


def result(study):
    return result_sentences(study.findings())


def test_a_run_with_everything_has_it_all_in_one_sentence(study):
    study.with_observers(3, 2.7)
    study.model("sub-01", 0.9)
    study.control("motion", "sub-01", 0.4)
    study.control("time", "sub-01", 0.2)
    (sentence,) = result(study)
    assert sentence.startswith("Whole runs left out (run), sub-01 (lr-0.001): 90.0 %, 95 % interval ")
    assert "; p = 0.05 by 19 permutations of the labels; " in sentence
    assert "; beats every control without a brain: yes (the best is motion with 40.0 %); " in sentence
    assert sentence.endswith(
        "; labels alone, the majority class and chance reach 40.0 % at most; observers agree in 90.0 %."
    )


def test_what_is_missing_is_said_and_not_left_out(study):
    study.trial("sub-01", 0.9)
    study.trial("sub-01", 0.9, fold=2, state="planned")
    (sentence,) = result(study)
    assert "; no p, since permutations of the labels are missing; no control without a brain; " in sentence
    assert "observers" not in sentence
    assert sentence.endswith(" at most. Preliminary: 1 of 2 trials are done.")


def test_the_published_protocol_comes_first_and_is_no_claim(study):
    study.model("sub-01", 0.9)
    study.model("sub-01", 0.8, permutations=0, protocol="random", setup="r", label_only_accuracy=0.98)
    published, rigorous = result(study)
    assert published.startswith("Published protocol (random), sub-01 (lr-0.001): 80.0 %, ")
    assert "; not above labels alone with 98.0 %. Not a claim: neighbours of the tested volumes" in published
    assert "claim" not in rigorous


def test_models_of_a_kind_are_reported_together_and_those_on_unseen_subjects_by_these(study):
    for subject in ("01", "02", "03"):
        study.model(f"sub-{subject}", 0.6, permutations=0)
        study.model(f"without-{subject}", 0.5, permutations=0, split="unseen", subjects=[subject])
    study.model("pooled", 0.7, permutations=0, subjects=["01", "02", "03"])
    starts = [sentence.partition(" %")[0].removeprefix("Whole runs left out (run), ") for sentence in result(study)]
    assert starts == [
        "3 single-subject models (lr-0.001): 60.0",
        "pooled (lr-0.001): 70.0",
        "3 left-out subjects (lr-0.001): 50.0",
    ]


def test_one_subject_under_one_protocol_is_no_group_because_of_others_under_another(study):
    for subject in ("01", "02"):
        study.model(f"sub-{subject}", 0.6, permutations=0, protocol="random", setup="r")
    study.model("sub-01", 0.6, permutations=0)
    assert [sentence.partition(" (lr")[0] for sentence in result(study)] == [
        "Published protocol (random), 2 single-subject models",
        "Whole runs left out (run), sub-01",
    ]
    assert "all single-subject" not in study.findings().scores.query("protocol == 'run'")["training_set"].tolist()


def test_the_best_of_several_conditions_is_said_to_flatter(study):
    study.model("sub-01", 0.6, permutations=0)
    study.model("sub-01", 0.7, permutations=0, condition="lr-0.01", setup="b")
    (sentence,) = result(study)
    assert "sub-01 (lr-0.01, the best of 2): 70.0 %" in sentence
    assert sentence.endswith("The best condition was chosen on the volumes that the accuracy is of, which flatters it.")


def test_what_inner_folds_chose_has_a_sentence_of_its_own(study):
    study.model("sub-01", 0.6, permutations=0)
    study.model("sub-01", 0.5, permutations=0, condition="nested", setup="n", chosen="epoch 3")
    assert [sentence.partition(": ")[0].partition(", ")[2] for sentence in result(study)] == [
        "sub-01 (lr-0.001)",
        "sub-01 (nested, chosen inside)",
    ]


@pytest.mark.parametrize(("skill", "says"), [(0.95, "yes"), (0.5, "no")])
def test_whether_controls_are_beaten_is_a_yes_or_a_no(study, skill, says):
    study.model("sub-01", skill, permutations=0)
    study.control("motion", "sub-01", 0.5)
    (sentence,) = result(study)
    assert f"beats every control without a brain: {says} (the best is motion" in sentence


def test_controls_that_lack_a_fold_leave_the_question_open(study):
    study.model("sub-01", 0.9, permutations=0)
    study.control("motion", "sub-01", 0.3, folds=(1,))
    (sentence,) = result(study)
    assert "; whether it beats the controls is open, since these lack folds; " in sentence


def test_nothing_done_is_no_result():
    assert result_sentences(Findings(Trials(pd.DataFrame()))) == [NOTHING]
