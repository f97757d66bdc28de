"""Planning a nested selection: inner trials, what they choose, and the refits that follow."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_plan import SUBJECTS, facts, plan

from deepemotion import config_files
from deepemotion.errors import UserError
from launcher.planning import experiment
from launcher.planning.nested import InnerResult, choose, selection_of
from launcher.planning.refits import Place, planned, refits
from launcher.planning.replaced import replaced
from launcher.run import plan_file

RATES = {"train.learning_rate": [1e-4, 1e-3, 1e-2]}


def nested(sweeps=RATES, **changes):
    return plan("rigorous", sweeps=sweeps, select="nested", **changes)


def wanted(overrides=(), sweeps=RATES, **changes):
    return experiment.read(config_files.find("rigorous"), list(overrides), {"select": "nested"} | changes, sweeps)


def test_every_outer_fold_has_the_other_folds_as_inner_ones_for_each_value():
    trials = nested(subjects=["01", "02"], permutations=2)
    assert len(trials) == 3 * 3 * 8 * 7 * 3
    assert {(trial.outer, trial.fold) for trial in trials} == {
        (o, f) for o in range(1, 9) for f in range(1, 9) if o != f
    }
    assert {trial.permutation for trial in trials} == {0, 1, 2}
    names = {trial.name.rpartition("_")[0] for trial in trials}
    assert {"sub-01_lr-0.0001_outer-3_run-1", "pooled_lr-0.01_outer-8_run-2_perm-2"} <= names
    assert not {trial.name for trial in trials} & {trial.name for trial in plan("rigorous", sweeps=RATES)}
    assert replaced(trials) == {}


def test_one_fold_alone_may_be_tested():
    trials = nested(subjects=["01"], overrides=["split.fold=3"])
    assert {trial.outer for trial in trials} == {3}
    assert {trial.fold for trial in trials} == {1, 2, 4, 5, 6, 7, 8}


def test_subjects_that_a_model_leaves_out_have_no_part_in_the_choice():
    held_out = {"single_subject": False, "pooled": False, "leave_one_subject_out": True, "subjects": ["01", "02", "03"]}
    trials = nested(**held_out)
    assert len(trials) == 3 * 3 * 8 * 7
    for trial in trials:
        assert trial.subjects == tuple(s for s in ("01", "02", "03") if s != trial.training_set[-2:])
    assert replaced(trials) == {}
    data, asked = facts(), wanted(**held_out)
    refit = planned(asked, data, refits(asked, data)[0], 1, 7)
    assert (refit.trial.unseen_subjects, refit.protocol) == (["01"], "run x subject")


def test_controls_are_those_of_the_outer_folds():
    trials = nested(subjects=["01"], controls=["time"])
    control = [trial for trial in trials if trial.control]
    assert len(control) == 8
    assert {trial.outer for trial in control} == {None}
    asked = wanted(subjects=["01"])
    assert {planned(asked, facts(), refit, 0, 3).basis for refit in refits(asked, facts())} == {control[0].basis}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"overrides": ["split.protocol=random"]}, "split.protocol=random has no folds; use run or block"),
        ({"overrides": ["split.protocol=block", "split.folds=2"]}, "sub-01 has 2 folds, and needs 3"),
        (
            {"sweeps": {"split.gap_s": [10, 20]}},
            "split.gap_s cannot be swept: the inner and the outer folds",
        ),
        ({"sweeps": {"train.epochs": [10, 20]}}, "train.epochs cannot be swept: the epoch is chosen anyway"),
        ({"sweeps": {"data.permute": ["shift", "block"]}}, "data.permute cannot be swept"),
        ({"compare": [[1e-3, 1e-4]]}, "leave out plan.compare"),
        ({"overrides": ["split.outer=1"]}, "split.outer: a launch sets it for each inner trial; use --select nested"),
    ],
)
def test_a_selection_that_is_none_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        nested(**changes)


def test_a_refit_is_trained_on_all_but_the_outer_fold_with_what_was_chosen(tmp_path):
    asked, data = wanted(subjects=["01", "02"], permutations=1), facts()
    found = refits(asked, data)
    assert len(found) == 3 * 8 * 2
    inner = {trial.name for trial in nested(subjects=["01", "02"], permutations=1)}
    assert {name for refit in found for name in refit.inner} == inner
    assert sum(len(refit.inner) for refit in found) == len(inner)
    made = [planned(asked, data, refit, i % 3, 1 + i) for i, refit in enumerate(found)]
    assert [Place.of(trial) for trial in made] == [refit.place for refit in found]
    assert all(trial.data in refit.data for trial, refit in zip(made, found, strict=True))
    assert {(trial.condition, trial.setup, trial.outer) for trial in made} == {
        ("nested", selection_of(asked).procedure, None)
    }
    assert made[4].chosen == "train.learning_rate=0.001, epoch 5"
    assert made[4].trial.train.epochs == 5
    assert replaced([*nested(subjects=["01", "02"], permutations=1), *made]) == {}
    plan_file.write(tmp_path / "plan.tsv", made)
    assert plan_file.read(tmp_path / "plan.tsv") == made


def test_what_is_not_swept_names_the_condition_and_what_could_be_chosen_tells_refits_apart():
    data, lag = facts(), {"data.lag_s": [0.0, 4.0]}
    (first, *_) = refits(wanted(sweeps=lag), data)
    assert planned(wanted(sweeps=lag), data, first, 0, 3).condition == "nested_lr-0.001"
    fewer = {"train.learning_rate": [1e-4, 1e-3]}
    one, other = (planned(asked, data, refits(asked, data)[0], 1, 3) for asked in (wanted(), wanted(sweeps=fewer)))
    assert one.trial == other.trial
    assert one.name != other.name
    assert replaced([one, other]) == {}
    again = planned(wanted(), data, refits(wanted(), data)[0], 2, 9)
    assert replaced([one, other, again]) == {one.name: again.name}


def test_seeds_are_replicates_each_with_a_choice_of_its_own():
    asked = wanted(sweeps={**RATES, "train.seed": [0, 1]}, subjects=["01"])
    found = refits(asked, facts())
    assert len(found) == 2 * 8
    assert {len(refit.candidates) for refit in found} == {3}
    made = [planned(asked, facts(), refit, 0, 2) for refit in found]
    assert {trial.seed for trial in made} == {0, 1}
    assert len({trial.setup for trial in made}) == 1
    assert len({trial.name for trial in made}) == 16


def test_only_the_places_that_are_asked_for_are_looked_at():
    asked, data = wanted(permutations=2), facts()
    places = {Place("sub-02", 3, 1, 0), Place("sub-02", 8, 1, 0), Place("pooled", 1, 0, 0)}
    found = refits(asked, data, places)
    assert {refit.place for refit in found} == places
    assert all(refit in refits(asked, data) for refit in found)
    # Another launch into the run may have other folds and subjects.
    assert refits(asked, data, {Place("sub-02", 9, 0, 0), Place("sub-77", 1, 0, 0)}) == []


def test_other_data_are_another_refit():
    repaired = facts()
    repaired.subjects["01"] = dataclasses.replace(repaired.subjects["01"], checksum="repaired")
    one, other = (refits(wanted(subjects=["01"]), data)[0] for data in (facts(), repaired))
    assert one.place == other.place
    assert not one.data & other.data


def inner(*accuracies, volumes=100):
    return InnerResult(accuracies, volumes)


def test_the_highest_mean_over_inner_folds_is_chosen():
    good, bad = [inner(0.2, 0.6, 0.5), inner(0.3, 0.5, 0.4)], [inner(0.5, 0.5, 0.5), inner(0.4, 0.4, 0.5)]
    assert choose([bad, good]) == (1, 2)
    assert choose([good, bad]) == (0, 2)


def test_folds_count_by_their_volumes():
    assert (
        choose([[inner(1.0, volumes=10), inner(0.2, volumes=90)], [inner(0.5, volumes=10), inner(0.3, volumes=90)]])[0]
        == 1
    )


def test_of_equal_means_fewer_epochs_and_then_the_first_of_the_sweep_win():
    assert choose([[inner(0.1, 0.2, 0.7, 0.7)], [inner(0.1, 0.7, 0.2, 0.1)]]) == (1, 2)
    assert choose([[inner(0.1, 0.7)], [inner(0.1, 0.7)]]) == (0, 2)
    # 0.1 + 0.2 is not 0.3 in floating point.
    assert choose([[inner(0.0, 0.3), inner(0.0, 0.3)], [inner(0.1 + 0.2, 0.0), inner(0.3, 0.0)]]) == (1, 1)


@given(st.data())
def test_a_planted_best_is_always_found(data):
    candidates, folds, epochs = (data.draw(st.integers(1, 4)) for _ in range(3))
    volumes = data.draw(st.lists(st.integers(10, 300), min_size=folds, max_size=folds))
    best = data.draw(st.integers(0, candidates - 1)), data.draw(st.integers(1, epochs))
    shares = st.floats(0, 0.79)
    results = [
        [
            InnerResult([0.95 if (c, e) == best else data.draw(shares) for e in range(1, epochs + 1)], volumes[f])
            for f in range(folds)
        ]
        for c in range(candidates)
    ]
    assert choose(results) == best


def test_nineteen_subjects_are_counted():
    assert len(nested(pooled=False)) == len(SUBJECTS) * 8 * 7 * 3
