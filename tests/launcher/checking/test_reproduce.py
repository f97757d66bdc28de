"""A finished trial that is trained again gives the same numbers, and what differs is judged by where it was trained."""

import json

import pandas as pd
import pytest
from trained_run import reseal

from deepemotion.errors import UserError
from launcher.checking import reproduction


@pytest.fixture
def name(run):
    return next(trial.name for trial in run.read_plan() if trial.training_set == "sub-01" and not trial.permutation)


def again(run, name, out):
    trial = reproduction.find_finished(run, name)
    reproduction.require_elsewhere(run, out)
    return reproduction.reproduce(run, trial, out, lambda metrics: None)


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_trial_is_equal_bit_for_bit_on_the_machine_that_trained_it(run, name, tmp_path):
    compared = again(run, name, tmp_path / "again")
    assert compared.conclusion == "reproduced: equal bit for bit"
    assert compared.reproduced
    table = {row[0]: row[1:] for row in compared.rows}
    recorded, trained, difference = table["accuracy_validation"]
    assert (recorded, difference) == (trained, "0")
    assert table["equal predictions"][2] == "100.0 %"


def test_one_bit_of_a_number_is_too_much_on_the_same_machine(run, name, tmp_path):
    rows = pd.read_parquet(run.trial(name).predictions)
    rows.loc[0, "p_FEAR"] += 1e-6
    rows.to_parquet(run.trial(name).predictions)
    reseal(run.trial(name))
    compared = again(run, name, tmp_path / "again")
    assert not compared.reproduced
    assert "on the same machine with the same code" in compared.conclusion


def test_elsewhere_rounding_may_differ_and_more_may_not(run, name, tmp_path):
    result = run.trial(name).result
    accuracy = json.loads(result.read_text())["accuracy_validation"]
    edit(result, device="NVIDIA H100", accuracy_validation=accuracy - 0.01)
    reseal(run.trial(name))
    compared = again(run, name, tmp_path / "again")
    assert compared.reproduced
    assert "device NVIDIA H100, now cpu" in compared.conclusion
    edit(result, accuracy_validation=0.0)
    reseal(run.trial(name))
    compared = again(run, name, tmp_path / "another")
    assert not compared.reproduced
    assert "the validation accuracy differs by more than rounding explains" in compared.conclusion


def test_only_finished_trials_elsewhere_on_the_same_data_can_be_compared(run, name, tmp_path, tiny_labels):
    with pytest.raises(UserError, match="is in the run itself"):
        again(run, name, run.path / "again")
    with pytest.raises(UserError, match="no such trial"):
        again(run, "sub-99", tmp_path / "again")
    again(run, name, tmp_path / "again")
    with pytest.raises(UserError, match="holds a finished training"):
        again(run, name, tmp_path / "again")
    sources = run.path / "sources.json"
    changed = tmp_path / "labels.tsv"
    changed.write_text(tiny_labels.read_text().replace("FEAR", "AWE"))
    edit(sources, labels=str(changed))
    with pytest.raises(UserError, match="have changed since the trial was planned"):
        again(run, name, tmp_path / "other")
    run.trial(name).result.unlink()
    with pytest.raises(UserError, match="not done; only a finished trial"):
        again(run, name, tmp_path / "other")


def test_the_command_says_by_its_exit_code_whether_it_was_reproduced(run, name, command):
    done = command("deepemotion-launch", "reproduce", run.path, "--trial", name)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "reproduced: equal bit for bit"
    edit(run.trial(name).result, ece_validation=0.0)
    reseal(run.trial(name))
    done = command("deepemotion-launch", "reproduce", run.path, "--trial", name)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("not reproduced")
    assert command("deepemotion-launch", "reproduce", run.path, "--trial", "none").returncode == 2
