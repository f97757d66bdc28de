"""Planning: which trials an experiment has, and when two are the same."""

import dataclasses
import math

import pytest
from small_plan import SUBJECTS, facts, plan

from deepemotion.errors import UserError
from launcher.planning import options
from launcher.planning.facts import AtlasFacts
from launcher.planning.protocols import Protocol
from launcher.planning.replaced import replaced


def test_nineteen_single_subject_trainings_and_the_pooled_one_first():
    trials = plan()
    assert len(trials) == 20
    assert trials[0].training_set == "pooled"
    assert trials[0].trial.subjects == SUBJECTS
    assert sorted(trial.training_set for trial in trials[1:]) == [f"sub-{subject}" for subject in SUBJECTS]


def test_learning_rates_and_sweeps_multiply():
    sweeps = {"train.learning_rate": [1e-4, 1e-3], "data.lag_s": [0, 2, 4]}
    trials = plan(sweeps=sweeps)
    assert len(trials) == 20 * 6
    assert len({trial.condition for trial in trials}) == 6
    assert {trial.learning_rate for trial in trials} == {1e-4, 1e-3}


@pytest.mark.parametrize("change", ["data.crop=true", "data.downsample=2"])
def test_smaller_volumes_need_less_memory_and_make_other_trials(change):
    usual, changed = (plan(overrides=["model.name=linear", *overrides]) for overrides in ([], [change]))
    for one, other in zip(usual, changed, strict=True):
        assert other.memory_bytes < one.memory_bytes
        assert other.name != one.name


def test_region_means_of_blocks_are_refused():
    one = dataclasses.replace(facts(), atlases={"a.nii": AtlasFacts("/a.nii", "checksum")})
    chosen = ["model.name=roi-linear", "model.atlas=a.nii"]
    assert plan(data=one, overrides=[*chosen, "data.crop=true"])
    with pytest.raises(UserError, match=r"data\.downsample=2: the borders of roi-linear's .*; leave data.downsample"):
        plan(data=one, overrides=[*chosen, "data.downsample=2"])


def test_seeds_are_replicates_of_one_condition():
    trials = plan(sweeps={"train.seed": [0, 1]})
    assert len(trials) == 40
    assert {trial.condition for trial in trials} == {"lr-0.001"}
    assert {trial.seed for trial in trials} == {0, 1}


def test_leave_one_run_out_has_a_trial_a_run():
    trials = plan("rigorous", subjects=["01", "02"])
    assert len(trials) == 3 * 8
    assert {trial.trial.split.fold for trial in trials} == set(range(1, 9))
    assert {trial.fold for trial in plan("rigorous", overrides=["split.fold=3"])} == {3}


def test_held_out_folds_are_the_papers_columns():
    trials = plan(held_out_folds=True, single_subject=False, pooled=False)
    unseen = {trial.training_set: trial.trial.unseen_subjects for trial in trials}
    assert unseen == {
        "held-out-1-4": ["01", "02", "03", "04"],
        "held-out-5-10": ["05", "06", "07", "08", "09", "11"],
        "held-out-11-15": ["12", "13", "14", "15", "16"],
        "held-out-16-19": ["17", "18", "19", "20"],
    }
    for trial in trials:
        assert sorted(trial.trial.subjects + trial.trial.unseen_subjects) == SUBJECTS


def test_estimated_memory_grows_with_what_is_loaded():
    pooled, *single = plan()
    assert pooled.memory_bytes - single[0].memory_bytes == pytest.approx(2 * 18 * 0.4 * 480 * 6000, rel=0.01)
    bigger = plan(overrides=["train.batch_size=40"])
    assert bigger[0].memory_bytes > pooled.memory_bytes
    assert math.isfinite(pooled.work)


def test_no_batch_is_counted_larger_than_the_data():
    huge, *_ = plan(overrides=["train.batch_size=1000000000"])
    most, *_ = plan(overrides=[f"train.batch_size={round(0.4 * 480 * len(SUBJECTS))}"])
    assert huge.memory_bytes == most.memory_bytes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subjects": ["01", "10"]}, "subject 10: not packed"),
        ({"single_subject": False, "pooled": False}, "the plan is empty"),
        ({"sweeps": {"train.rate": [1]}}, "train.rate: no such setting"),
        ({"sweeps": {"train.epochs": [0]}}, "train.epochs"),
        ({"sweeps": {"train.learning_rate": [1e-3, 0.001]}}, "two trials would be the same"),
        ({"overrides": ["split.fold=3"]}, "split.fold=3: split.protocol=random has no folds"),
        (
            {"overrides": ["split.protocol=run", "split.fold=9"]},
            "split.fold=9: sub-01 has no such run; it has 1, 2, .*8$",
        ),
        ({"overrides": ["split.protocol=block", "split.fold=6"]}, "split.fold=6: there are 5 folds"),
        ({"overrides": ["data.permutation=7"]}, "data.permutation: .* use --permutations N"),
        ({"sweeps": {"data.permutation": [0, 1]}}, "data.permutation"),
        ({"overrides": ["align.method=srm"]}, "align.method=srm: under split.protocol=random"),
        (
            {"sweeps": {"align.method": ["none", "srm"]}, "overrides": ["split.protocol=run"]},
            "=none it would fit the anat",
        ),
    ],
)
def test_bad_plans_say_what_is_wrong(changes, message):
    with pytest.raises(UserError, match=message):
        plan(**changes)


def with_runs(runs):
    """Return facts of subjects that have these runs."""
    known = facts(list(runs))
    return dataclasses.replace(known, subjects={s: dataclasses.replace(known.subjects[s], runs=runs[s]) for s in runs})


def test_a_subject_is_planned_for_the_runs_that_it_has():
    trials = plan("rigorous", with_runs({"01": (1, 2), "02": (1, 2, 3)}))
    folds = {name: {trial.fold for trial in trials if trial.training_set == name} for name in ("sub-01", "pooled")}
    assert folds == {"sub-01": {1, 2}, "pooled": {1, 2, 3}}
    with pytest.raises(UserError, match="sub-01 has no such run; it has 1, 2"):
        plan("rigorous", with_runs({"01": (1, 2), "02": (1, 2, 3)}), ["split.fold=3"])
    with pytest.raises(UserError, match="sub-02 has run 7 only"):
        plan("rigorous", with_runs({"01": (1, 2), "02": (7,)}))


def test_a_subject_alone_is_not_aligned_so_nothing_is_refused():
    assert len(plan(overrides=["align.method=srm"], pooled=False)) == len(SUBJECTS)


def test_held_out_folds_need_the_papers_subjects():
    with pytest.raises(UserError, match="at least 16 subjects"):
        plan(data=facts(SUBJECTS[:5]), held_out_folds=True)


def test_permutations_are_trials_beside_the_true_one():
    trials = plan(permutations=3, subjects=["01", "02"])
    assert len(trials) == 3 * 4
    assert {trial.condition for trial in trials} == {"lr-0.001"}
    for trial in trials:
        assert trial.trial.data.permutation == trial.permutation
        assert trial.name.count(f"_perm-{trial.permutation}_") == bool(trial.permutation)
    assert sorted(trial.permutation for trial in trials) == sorted([0, 1, 2, 3] * 3)
    fewer = {trial.name for trial in plan(permutations=1, subjects=["01", "02"])}
    assert fewer < {trial.name for trial in trials}


@pytest.mark.parametrize(
    ("asked", "folds", "sets", "parts", "named"),
    [
        ("random", False, 20, 1, "random"),
        ("block", False, 20, 5, "block"),
        ("run", False, 20, 8, "run"),
        ("subject", False, 19, 5, "subject"),
        ("subject", True, 4, 5, "subject"),
        ("run-subject", False, 19, 8, "run x subject"),
    ],
)
def test_protocols(asked, folds, sets, parts, named):
    changes = {**options.plan_of_protocol(Protocol(asked), folds), "held_out_folds": folds}
    trials = plan("rigorous", overrides=[f"split.protocol={Protocol(asked).movie_split}"], **changes)
    assert len(trials) == sets * parts
    assert {trial.protocol for trial in trials} == {named}
    for trial in trials:
        assert not set(trial.trial.subjects) & set(trial.trial.unseen_subjects)
        assert len(trial.trial.subjects) + len(trial.trial.unseen_subjects) in ({1, 19} if sets == 20 else {19})


def test_subjects_held_out_at_random_moments_have_no_protocol_of_their_own():
    trials = plan(single_subject=False, pooled=False, leave_one_subject_out=True)
    assert {trial.protocol for trial in trials} == {"random"}
    assert all(trial.trial.unseen_subjects for trial in trials)


def test_a_trial_is_replaced_by_the_same_on_other_data_and_by_no_other():
    first = plan(subjects=["01", "02"], permutations=1)
    others = plan(subjects=["01", "02"], sweeps={"data.lag_s": [0, 2]}) + plan("rigorous", subjects=["01", "02"])
    assert replaced(first + others) == {}
    repaired = facts()
    repaired.subjects["02"] = dataclasses.replace(repaired.subjects["02"], checksum="repaired")
    again = plan(subjects=["01", "02"], permutations=1, data=repaired)
    whole = {trial.name: trial for trial in first + again}
    by = replaced(list(whole.values()))
    assert {whole[name].training_set for name in by} == {"sub-02", "pooled"}
    assert all(whole[name].permutation == whole[other].permutation for name, other in by.items())
    assert len(by) == 4


def test_pooled_models_of_other_subjects_are_replaced_all_at_once():
    """Else a mean over left-out subjects would mix models of two pools."""
    everybody = plan("rigorous", single_subject=False, leave_one_subject_out=True)
    three = plan("rigorous", subjects=["01", "02", "03"], single_subject=False, leave_one_subject_out=True)
    single = plan("rigorous", pooled=False)
    by = replaced([*everybody, *single, *three])
    assert set(by) == {trial.name for trial in everybody}
    assert set(by.values()) <= {trial.name for trial in three}
    # Growing is the usual way.
    assert set(replaced([*three, *single, *everybody])) == {trial.name for trial in three}


@pytest.mark.parametrize("changes", [[], ["data.crop=true"], ["data.downsample=2"]])
def test_volumes_that_a_model_cannot_take_are_refused(changes):
    thin = facts()
    thin.subjects["02"] = dataclasses.replace(thin.subjects["02"], shape=(33, 44, 7), box=(24, 33, 7))
    with pytest.raises(UserError, match=r"cnn3d: a volume of .* is too small; each side must have at least 8 voxels"):
        plan(data=thin, subjects=["02"], overrides=changes)
    assert plan(data=thin, subjects=["02"], overrides=[*changes, "model.name=linear"])
