"""Planning learning curves: trainings on a part of the runs or subjects of a training set."""

import dataclasses
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_plan import SUBJECTS, facts, plan

from deepemotion.errors import UserError
from deepemotion.settings.schema import SplitSettings
from launcher.planning.learning_curve import run_order, sizes, subject_order
from launcher.planning.replaced import replaced
from launcher.run import plan_file

THREE = ["01", "02", "03"]
LEFT_OUT = {"single_subject": False, "pooled": False, "leave_one_subject_out": True}


def curve(config="rigorous", learning_curve=True, **changes):
    """Return the trials on a part of the data, by the name of their training set."""
    return [trial for trial in plan(config, learning_curve=learning_curve, **changes) if trial.point is not None]


def test_a_curve_adds_trainings_on_one_two_and_four_runs_and_on_up_to_sixteen_subjects():
    trials = curve()
    counts = Counter((trial.training_set == "pooled", trial.point.over, trial.point.size) for trial in trials)
    of_runs = {(False, "runs", size): 19 * 8 for size in (1, 2, 4)} | {(True, "runs", size): 8 for size in (1, 2, 4)}
    # Those on one subject are the single-subject models.
    assert counts == of_runs | {(True, "subjects", size): 8 for size in (2, 4, 8, 16)}
    names = {trial.name.rpartition("_")[0] for trial in trials}
    assert {"sub-05_lr-0.001_run-3_runs-2", "pooled_lr-0.001_run-8_subjects-16"} <= names
    assert {trial.permutation for trial in curve(permutations=2, subjects=THREE)} == {0}
    assert not any(trial.control for trial in curve(controls=["time"], subjects=THREE))


def test_the_other_trials_are_the_same_with_and_without_curves():
    changes = {"subjects": THREE, "permutations": 1, "controls": ["time"]}
    whole = [trial for trial in plan("rigorous", learning_curve=True, **changes) if trial.point is None]
    assert whole == plan("rigorous", **changes)


def test_a_part_differs_from_its_model_in_what_it_trains_on_only():
    trials = plan("rigorous", learning_curve=True, subjects=THREE)
    models = {(trial.training_set, trial.fold): trial for trial in trials if trial.point is None}
    for part in (trial for trial in trials if trial.point is not None):
        model = models[part.training_set, part.fold]
        assert (part.setup, part.condition, part.protocol) == (model.setup, model.condition, model.protocol)
        assert set(part.pool) == set(model.subjects)
        assert part.work < model.work
        if part.point.over == "runs":
            assert part.trial.subjects == model.trial.subjects
            assert part.trial.split.training_runs == sorted(map(int, part.point.chosen))
            assert part.fold not in part.trial.split.training_runs
        else:
            assert part.trial.split == model.trial.split
            assert part.trial.subjects == sorted(part.point.chosen)


def test_unseen_subjects_stay_the_same_for_all_parts():
    trials = curve(**LEFT_OUT, subjects=[*THREE, "04"])
    of_subjects = [trial for trial in trials if trial.point.over == "subjects"]
    assert {trial.point.size for trial in of_subjects} == {1, 2}
    for trial in of_subjects:
        assert trial.trial.unseen_subjects == [trial.training_set.removeprefix("without-")]
        assert len(trial.point.order) == 3


@given(st.sets(st.integers(1, 12), min_size=2), st.integers(1, 5))
def test_each_run_is_in_equally_many_parts_of_a_size(runs, draw):
    split = SplitSettings(protocol="run")
    orders = [run_order(sorted(runs), split, fold, draw) for fold in runs]
    for fold, order in zip(runs, orders, strict=True):
        assert sorted([fold, *order]) == sorted(runs)
    for size in range(1, len(runs)):
        assert set(Counter(run for order in orders for run in order[:size]).values()) == {size}


def test_each_subject_is_the_first_of_about_as_many_folds_and_draws():
    runs = dict.fromkeys(SUBJECTS, range(1, 9))
    split = SplitSettings(protocol="run")
    firsts = Counter(subject_order(runs, split, fold, draw)[0] for draw in range(1, 20) for fold in range(1, 9))
    assert set(firsts) == set(SUBJECTS)
    assert set(firsts.values()) == {8}
    blocks = SplitSettings(protocol="block", folds=5)
    assert len({subject_order(runs, blocks, fold, 1)[0] for fold in range(1, 6)}) == 5
    assert sorted(subject_order(runs, SplitSettings(), None, 1)) == SUBJECTS


def test_subjects_without_the_run_that_is_left_out_come_last():
    runs = {"01": [1, 2], "02": [2], "03": [2, 3], "04": [1, 3]}
    order = subject_order(runs, SplitSettings(protocol="run"), 2, 1)
    assert set(order[:2]) == {"01", "03"}


def test_other_draws_are_of_other_runs_and_no_part_is_trained_twice():
    known = facts(["01"])
    three_runs = dataclasses.replace(known, subjects={"01": dataclasses.replace(known.subjects["01"], runs=(1, 2, 3))})
    once, thrice = (curve(subjects=["01"], data=three_runs, draws=draws) for draws in (1, 9))
    assert len(once) == 3
    # One of two runs, for each of three folds.
    assert len(thrice) == 6
    assert {trial.name for trial in once} < {trial.name for trial in thrice}
    assert any("_draw-" in trial.name for trial in thrice)


@pytest.mark.parametrize(("whole", "expected"), [(1, []), (2, [1]), (7, [1, 2, 4]), (8, [1, 2, 4]), (9, [1, 2, 4, 8])])
def test_sizes_are_powers_of_two_below_the_whole(whole, expected):
    assert sizes(whole) == expected


def test_one_curve_alone_may_be_asked_for_and_aligned_volumes_need_two_runs():
    over_subjects = curve(learning_curve=["subjects"], subjects=THREE, single_subject=False)
    assert {(trial.point.over, trial.point.size) for trial in over_subjects} == {("subjects", 1), ("subjects", 2)}
    aligned = curve(learning_curve=["runs"], subjects=THREE, overrides=["align.method=srm", "align.features=5"])
    by_set = {(trial.training_set == "pooled", trial.point.size) for trial in aligned}
    assert by_set == {(True, 2), (True, 4), (False, 1), (False, 2), (False, 4)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"select": "nested"}, "plan.learning_curve: plan.select=nested"),
        ({"overrides": ["split.training_runs=[1, 2]"]}, "a launch sets split.training_runs"),
        ({"sweeps": {"split.training_runs": [[1], [1, 2]]}}, "a launch sets split.training_runs"),
    ],
)
def test_curves_that_cannot_be_planned_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        curve(subjects=THREE, **changes)


def test_a_plan_with_curves_is_read_as_it_was_written(tmp_path):
    trials = plan("rigorous", learning_curve=True, subjects=THREE, draws=2)
    plan_file.write(tmp_path / "plan.tsv", trials)
    assert plan_file.read(tmp_path / "plan.tsv") == trials


@pytest.mark.parametrize("words", ["runs 2 1 3", "volumes 1 1 3 4", "runs 1", "runs one 1 3 4", "runs 0 1 3 4"])
def test_words_that_are_no_part_of_a_curve_are_refused(tmp_path, words):
    (first, *_) = curve(subjects=["01"])
    path = tmp_path / "plan.tsv"
    plan_file.write(path, [first])
    written = f"runs {first.point.size} 1 {' '.join(first.point.order)}"
    assert written in path.read_text()
    path.write_text(path.read_text().replace(written, words))
    with pytest.raises(UserError, match="no part of a learning curve"):
        plan_file.read(path)
    plan_file.write(
        path, [dataclasses.replace(first, point=dataclasses.replace(first.point, order=first.point.order[::-1]))]
    )
    with pytest.raises(UserError, match="its curve is not that of its settings"):
        plan_file.read(path)


def test_parts_of_replaced_models_do_not_count():
    before = plan("rigorous", learning_curve=True, subjects=THREE)
    assert replaced(before) == {}
    # Another pool of subjects, with curves and without.
    for more in (True, False):
        later = plan("rigorous", learning_curve=more, subjects=["01", "02", "04"])
        dead = set(replaced([*before, *(trial for trial in later if trial not in before)]))
        assert dead == {trial.name for trial in before if trial.training_set == "pooled"}
    # Other labels.
    relabelled = plan("rigorous", subjects=THREE, data=facts(labels_checksum="others"))
    assert set(replaced([*before, *relabelled])) == {trial.name for trial in before}
