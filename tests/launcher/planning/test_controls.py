"""Planning controls: each once for all trials of the brain that share its volumes, labels and split."""

import dataclasses

import pytest
from small_plan import SUBJECTS, facts, plan

from deepemotion import config_files
from deepemotion.errors import UserError
from deepemotion.settings.schema import CONTROLS
from deepemotion.training.checksums import data_digest
from launcher.planning import controls, experiment, identity, options
from launcher.planning.plan import make_plan
from launcher.planning.replaced import replaced


def with_controls(by_subject):
    """Return facts of subjects that have these controls packed beside them."""
    known = facts(list(by_subject))
    subjects = {
        subject: dataclasses.replace(known.subjects[subject], controls={name: f"{name}-{subject}" for name in names})
        for subject, names in by_subject.items()
    }
    return dataclasses.replace(known, subjects=subjects)


def split_up(trials):
    """Return the trials of the brain, and those of controls."""
    return [trial for trial in trials if not trial.control], [trial for trial in trials if trial.control]


def places(trials):
    return {(trial.training_set, trial.basis, trial.fold, trial.permutation, trial.seed) for trial in trials}


def test_a_control_is_planned_for_every_training_set_fold_and_permutation():
    wanted = {"permutations": 2, "leave_one_subject_out": True, "subjects": ["01", "02"]}
    brain, control = split_up(plan("rigorous", controls=["time"], **wanted))
    assert brain == plan("rigorous", **wanted)
    assert len(control) == len(brain) == 5 * 8 * 3
    assert places(control) == places(brain)
    assert {trial.condition for trial in control} == {"control-time"}
    names = {trial.name.rpartition("_")[0] for trial in control}
    assert {"sub-01_control-time_run-1_perm-2", "pooled_control-time_run-8", "without-02_control-time_run-3"} <= names
    assert {(trial.protocol, trial.training_set) for trial in control} == {
        (trial.protocol, trial.training_set) for trial in brain
    }


def test_what_belongs_to_the_brain_does_not_multiply_controls():
    sweeps = {
        "train.learning_rate": [1e-4, 1e-3],
        "model.name": ["linear", "mlp"],
        "data.normalisation": ["psc", "zscore"],
        "data.downsample": [1, 2],
        "train.epochs": [3, 60],
    }
    brain, control = split_up(plan(sweeps=sweeps, controls=["time"], subjects=["01"]))
    assert (len(brain), len(control)) == (32, 1)
    assert {trial.basis for trial in brain} == {control[0].basis}


def test_labels_splits_and_seeds_have_controls_of_their_own():
    sweeps = {"train.learning_rate": [1e-4, 1e-3], "data.lag_s": [0, 4], "split.seed": [1, 2], "train.seed": [0, 1]}
    brain, control = split_up(plan(sweeps=sweeps, controls=["time"], subjects=["01"]))
    assert (len(brain), len(control)) == (16, 8)
    assert places(brain) == places(control)
    first = control[0]
    assert first.condition == "control-time_data.lag_s-0_split.seed-1"
    assert first.name.startswith("sub-01_control-time_data.lag_s-0_split.seed-1_seed-0_")
    assert len({trial.setup for trial in control}) == len({trial.basis for trial in control}) == 4


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        (["train.learning_rate=1e-5", "model.name=linear", "augment.noise=1", "train.loss=soft"], True),
        (["align.method=srm", "data.normalisation=psc"], True),
        (["data.lag_s=2"], False),
        (["data.drop_overlaps=false"], False),
        (["data.timing=cumulative"], False),
        (["data.permute=block"], False),
        (["split.gap_s=10"], False),
    ],
)
def test_the_basis_is_of_volumes_labels_and_split_only(changes, same):
    usual = {trial.basis for trial in plan("rigorous", subjects=["01"])}
    changed = {trial.basis for trial in plan("rigorous", subjects=["01"], overrides=changes)}
    assert len(usual) == len(changed) == 1
    assert (usual == changed) is same


def test_all_are_those_that_every_subject_of_the_plan_has():
    data = with_controls({"01": ("motion", "stimulus"), "02": ("stimulus", "motion"), "03": ("motion",)})
    trials = plan("rigorous", data, controls="all", pooled=False)
    assert {trial.control for trial in trials} == {"", "time", "motion"}
    trials = plan("rigorous", data, controls="all", pooled=False, subjects=["01", "02"])
    assert {trial.control for trial in trials} == {"", "time", "motion", "stimulus"}
    wanted = experiment.read(config_files.find("rigorous"), [], {}, {})
    assert controls.missing(wanted, data) == ["global-signal", "stimulus", "physio", "phantom"]
    assert controls.missing(experiment.read(config_files.find("rigorous"), [], {}, {}, ["time"]), data) == []


def test_a_named_control_that_a_subject_lacks_is_refused():
    data = with_controls({"01": ("motion",), "02": ()})
    assert plan("rigorous", data, controls=["motion"], subjects=["01"])
    with pytest.raises(UserError, match="controls: motion is not packed for every subject; those that are: time"):
        plan("rigorous", data, controls=["time", "motion"])


@pytest.mark.parametrize("change", ["data.control=time", "sweep"])
def test_a_control_is_asked_for_by_its_option_only(change):
    how = {"sweeps": {"data.control": ["time"]}} if change == "sweep" else {"overrides": [change]}
    with pytest.raises(UserError, match=r"data\.control: a launch sets it for each trial; use --controls time"):
        plan(**how, subjects=["01"])


def test_a_trial_s_data_are_those_of_its_control_only():
    data, other = with_controls({"01": ("motion", "stimulus")}), with_controls({"01": ("motion", "stimulus")})
    other.subjects["01"] = dataclasses.replace(other.subjects["01"], controls={"motion": "new", "stimulus": "same"})
    data.subjects["01"] = dataclasses.replace(data.subjects["01"], controls={"motion": "old", "stimulus": "same"})
    first, again = (plan(data=one, controls=["time", "motion", "stimulus"]) for one in (data, other))
    assert [one.control for one, new in zip(first, again, strict=True) if one.name != new.name] == ["motion"]
    motion = next(trial for trial in first if trial.control == "motion")
    checksums = {"labels": "labels", "sub-01": "checksum-01", "controls-01": "old"}
    assert identity.checksums(["01"], data, None, motion.trial.data) == checksums
    assert motion.data == data_digest(checksums)
    assert list(replaced([*first, *again])) == [motion.name]


def test_controls_are_cheap_and_come_last():
    trials = plan(controls=["time"], overrides=["train.epochs=1"])
    control = [bool(trial.control) for trial in trials]
    assert control == [False] * 20 + [True] * 20
    assert {trial.memory_bytes for trial in trials if trial.control} < {trial.memory_bytes for trial in trials}


def test_the_model_of_controls_is_the_experiment_s(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("controls: [time]\ncontrol_model: mlp\nplan: {pooled: false, subjects: ['01']}\n")
    wanted = experiment.read(path, [], {}, {})
    assert [trial.trial.model.name for trial in make_plan(wanted, facts(["01"]))] == ["cnn3d", "mlp"]
    path.write_text("control_model: cnn3d\n")
    with pytest.raises(UserError, match=r"mine\.yaml: control_model"):
        experiment.read(path, [], {}, {})


def test_controls_on_the_command_line():
    assert options.parse_controls(None) is None
    assert options.parse_controls("all") == "all"
    assert options.parse_controls("none") == []
    assert options.parse_controls("motion,time,motion") == ["time", "motion"]
    for wrong in ("", "loudness", "time,,motion", "time,all"):
        with pytest.raises(UserError, match=r"--controls .* is no control; choose all, none, or from time, "):
            options.parse_controls(wrong)


def test_rigorous_has_all_controls_and_the_command_line_may_leave_them_out():
    path = config_files.find("rigorous")
    assert experiment.read(path, [], {}, {}).controls == "all"
    assert experiment.read(path, [], {}, {}, []).controls == []
    assert len(plan("rigorous", with_controls(dict.fromkeys(SUBJECTS[:2], CONTROLS)), controls="all")) == 3 * 8 * 7
