"""Names and hashes of trials: when two are the same, and that they stay so."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st
from small_plan import facts, plan


@given(
    rates=st.lists(st.sampled_from([1e-4, 3e-4, 1e-3, 3e-3]), min_size=1, unique=True),
    lags=st.lists(st.sampled_from([0, 2, 4, 6]), min_size=1, unique=True),
)
def test_names_are_unique_stable_and_safe_as_folders(rates, lags):
    sweeps = {"train.learning_rate": rates, "data.lag_s": lags}
    names = [trial.name for trial in plan(sweeps=sweeps, subjects=["01", "05"])]
    assert len(set(names)) == len(names) == 3 * len(rates) * len(lags)
    assert names == [trial.name for trial in plan(sweeps=sweeps, subjects=["01", "05"])]
    assert all(name.replace("-", "").replace("_", "").replace(".", "").isalnum() for name in names)


def test_a_trial_s_identity_changes_with_its_data_and_settings_only():
    one = {trial.training_set: trial.name for trial in plan()}
    wider = {trial.training_set: trial.name for trial in plan(sweeps={"train.learning_rate": [1e-4, 1e-3]})}
    assert set(one.values()) <= {trial.name for trial in plan(sweeps={"train.learning_rate": [1e-4, 1e-3]})}, wider
    changed = facts()
    changed.subjects["03"] = dataclasses.replace(changed.subjects["03"], checksum="other")
    other = {trial.training_set: trial.name for trial in plan(data=changed)}
    assert {name for name in one if one[name] != other[name]} == {"sub-03", "pooled"}
    relabelled = {trial.training_set: trial.name for trial in plan(data=facts(labels_checksum="other"))}
    assert not set(one.values()) & set(relabelled.values())
    shorter = {trial.training_set: trial.name for trial in plan(overrides=["train.epochs=49"])}
    assert not set(one.values()) & set(shorter.values())


def test_names_and_setups_stay_what_they_were(monkeypatch):
    """Their hashes are in every run's folder: a change of how a trial is described would train it all again."""
    monkeypatch.setattr("launcher.planning.identity.__version__", "0.1.0")
    monkeypatch.setattr("launcher.planning.identity.FORMAT_VERSION", 1)
    (demo, *_), (rigorous, *_) = plan("demo"), plan("rigorous")
    assert (demo.name, demo.setup, demo.data) == ("pooled_lr-0.001_48deac98", "3a71442b", "19f8f8fe2a15f1b1")
    assert (rigorous.name, rigorous.setup) == ("pooled_lr-0.001_run-1_d67848ed", "2bdbba1c")
    held_out = {"single_subject": False, "pooled": False, "leave_one_subject_out": True, "permutations": 2}
    last = plan("rigorous", overrides=["split.protocol=block"], **held_out)[-1]
    assert (last.name, last.setup) == ("without-20_lr-0.001_fold-5_perm-2_76ca0251", "7ceeaced")
