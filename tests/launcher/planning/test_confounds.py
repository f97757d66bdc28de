"""Planning trials whose confounds are regressed out: what they are called, what they read, what they lack."""

import dataclasses
import shutil

import pytest
from small_plan import facts, plan

from deepemotion import config_files
from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.subject_file.control_file import control_path
from deepemotion.subject_file.folder import open_subjects
from deepemotion.training.checksums import data_checksums, data_digest
from launcher.planning import comparisons, data_facts, experiment, options
from launcher.planning.plan import make_plan

MOTION = "data.confounds=motion"


@pytest.fixture
def plan_of(tiny_packed, tiny_labels):
    """Return a function that plans the demo's model of sub-01 on the tiny dataset, or on another folder."""

    def made(*overrides, packed=tiny_packed, sweeps=(), controls=(), subjects=("01",), **changes):
        changes = {"subjects": list(subjects), "pooled": False} | changes
        swept = options.parse_sweeps(list(sweeps), None, None)
        wanted = experiment.read(config_files.find("demo"), list(overrides), changes, swept, list(controls))
        return make_plan(wanted, data_facts.read(packed, tiny_labels, wanted)[0])

    return made


def test_a_trial_s_data_are_what_its_training_will_read(plan_of, tiny_packed, tiny_labels):
    (trial,) = plan_of("data.confounds=motion+physio")
    with open_subjects(tiny_packed, ["01"]) as files:
        checksums = data_checksums(trial.trial, files, Labels.read(tiny_labels))
    assert list(checksums) == ["labels", "sub-01", "confounds-01:motion", "confounds-01:physio"]
    assert trial.data == data_digest(checksums)


def test_trials_without_confounds_are_the_same_beside_trials_with_them(plan_of):
    (usual,) = plan_of()
    trials = plan_of(sweeps=["data.confounds=none,motion,motion+physio"])
    conditions = ["data.confounds-none", "data.confounds-motion", "data.confounds-motion+physio"]
    assert [trial.condition.partition("_")[2] for trial in trials] == conditions
    hashes = [trial.name.rpartition("_")[2] for trial in trials]
    assert len(set(hashes)) == 3
    assert hashes[0] == usual.name.rpartition("_")[2]
    assert trials[0].data == usual.data
    assert trials[0].setup == usual.setup != trials[1].setup


def test_values_of_a_file_s_sweep_are_named_and_compared_as_those_of_the_command_line(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("plan: {sweep: {data.confounds: [[], [motion, physio]]}, compare: [[none, motion+physio]]}\n")
    wanted = experiment.read(path, [], {}, {})
    trials = make_plan(wanted, facts(["01"]))
    assert {trial.condition.partition("_")[2] for trial in trials} == {
        "data.confounds-none",
        "data.confounds-motion+physio",
    }
    (comparison,) = comparisons.declared(wanted)
    assert [pair[0].partition("_")[2] for pair in comparison.conditions] == ["data.confounds-none"]


def test_another_confound_s_values_are_another_trial():
    def with_motion(value):
        known = facts(["01"])
        one = dataclasses.replace(known.subjects["01"], controls={"motion": value, "physio": value})
        return dataclasses.replace(known, subjects={"01": one})

    first, again = (plan(data=with_motion(value), overrides=[MOTION])[0] for value in ("old", "new"))
    assert (first.setup, first.name != again.name, first.data != again.data) == (again.setup, True, True)
    first, again = (plan(data=with_motion(value))[0] for value in ("old", "new"))
    assert first == again


def test_regression_needs_memory_by_the_features_of_its_confounds():
    def needed(regressors, *overrides):
        known = facts(["01"])
        one = dataclasses.replace(known.subjects["01"], regressors={"motion": regressors})
        settings = ["train.batch_size=1", "model.name=linear", *overrides]
        return plan(data=dataclasses.replace(known, subjects={"01": one}), overrides=settings)[0].memory_bytes

    assert needed(100) == needed(200)
    assert needed(200, MOTION) - needed(100, MOTION) == 12 * 100 * 6000


def test_controls_beside_such_a_brain_are_those_of_any_brain(plan_of):
    with_confounds, without = (plan_of(*overrides, controls=["motion"]) for overrides in ((MOTION,), ()))
    (control,), (usual,) = ([one for one in trials if one.control] for trials in (with_confounds, without))
    assert control == usual
    assert {one.basis for one in with_confounds} == {control.basis}


def test_a_confound_that_a_subject_lacks_is_refused_before_anything_is_planned(plan_of, tiny_packed, tmp_path):
    for sweeps, overrides in (((), ["data.confounds=phantom"]), (["data.confounds=none,time+phantom"], [])):
        with pytest.raises(UserError, match=r"sub-01: no control phantom in .*controls_sub-01\.h5; name its files"):
            plan_of(*overrides, sweeps=sweeps)
    for subject in ("01", "02"):
        shutil.copy(tiny_packed / f"sub-{subject}.h5", tmp_path)
    shutil.copy(control_path(tiny_packed, "01"), tmp_path)
    with pytest.raises(UserError, match=r"controls_sub-02\.h5: no such file; pack the subject again"):
        plan_of(MOTION, packed=tmp_path, subjects=("01", "02"))
    assert plan_of(MOTION, packed=tmp_path)
    assert plan_of("data.confounds=time", packed=tmp_path, subjects=("01", "02"))


def test_confounds_that_leave_nothing_of_a_run_are_refused_before_anything_is_planned(plan_of):
    with pytest.raises(UserError, match=r"run 1 has 20 volumes, of which the 18 independent features of data\.conf"):
        plan_of("data.confounds=motion+stimulus+physio+global-signal")


def test_a_dry_run_says_so_in_one_line(refusal, tiny_packed, tiny_labels, tmp_path):
    where = ("--data", tiny_packed, "--labels", tiny_labels, "--runs", tmp_path / "runs", "--dry-run")
    words = ("--all-subjects", "--config", "demo", "--set", "data.confounds=phantom")
    assert "no control phantom" in refusal("launcher.cli", *words, *where)
    assert not (tmp_path / "runs").exists()
