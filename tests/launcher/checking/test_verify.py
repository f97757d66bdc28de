"""Every row of a run's tables traces to a trial, and every trial to its settings, data and code; or is named."""

import json
import shutil

import finished_run
import numpy as np
import pandas as pd
import pytest
from trained_run import reseal

from deepemotion.training.data_sources import Sources
from launcher.checking.problems import Problems
from launcher.checking.run import verify
from launcher.checking.tables import check_tables
from launcher.evidence.evidence import write_evidence
from launcher.tables.trials import write_tables


def sub_01(run):
    return next(trial.name for trial in run.read_plan() if trial.training_set == "sub-01" and not trial.permutation)


def problems(run, **options):
    return verify(run, **options).problems


def test_a_run_that_is_right_has_no_problem(run):
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    checked = verify(run, volumes=True)
    assert (checked.problems, checked.notes) == ([], [])
    assert (checked.trials, checked.done) == (6, 6)
    assert checked.rows > 100
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


def test_tables_that_are_older_than_a_result_are_named(run):
    path = run.trial(sub_01(run)).result
    result = json.loads(path.read_text())
    path.write_text(json.dumps(result | {"training_s": result["training_s"] + 1}))
    reseal(run.trial(sub_01(run)))
    found = problems(run)
    assert any("trials.parquet: training_s differs in 1 rows" in problem for problem in found)
    write_tables(run)
    assert not any("training_s" in problem for problem in problems(run))


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda content: content["trial"]["train"].update(seed=7), "its settings are not those that plan.tsv has"),
        (lambda content: content["data"].update({"sub-01": "0" * 64}), "its data are not those that the trial was"),
        (lambda content: content["data"].update({"labels": "0" * 64}), "the hash in the trial's name is not that of"),
        (lambda content: content.update(trial={}), "damaged"),
        (lambda content: content.clear(), "damaged"),
    ],
)
def test_settings_that_are_not_the_trial_s_are_named(run, change, problem):
    directory = run.trial(sub_01(run))
    edit(directory.settings, change)
    assert any("trial.json" in found and problem in found for found in problems(run))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda result: result.update(accuracy_validation=0.123), "validation accuracy is"),
        (lambda result: result.update(n_train=3), "train volumes where result.json says 3"),
        (lambda result: result.update(deepemotion="9.9.9"), "no launch in provenance.json had its data and version"),
        (lambda result: result.update(labels_checksum="0"), "comes from other labels than trial.json says"),
        (lambda result: result.pop("deepemotion"), "does not say which version of the code"),
        (lambda result: result.update(accuracy_train=7.0), "damaged (accuracy_train is 7)"),
        (lambda result: result.update(classes=["A"]), "not those of result.json"),
    ],
)
def test_a_result_that_is_not_the_trial_s_is_named(run, change, problem):
    edit(run.trial(sub_01(run)).result, change)
    reseal(run.trial(sub_01(run)))
    assert any(problem in found for found in problems(run))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: rows.assign(subject="03"), "predicts sub-03, whom the trial does not have"),
        (lambda rows: pd.concat([rows, rows.iloc[[0]]]), "1 volumes are predicted twice"),
        (lambda rows: rows.drop(columns="label"), "no column label"),
        (lambda rows: rows.assign(prediction=rows["label"]), "are not the likeliest class"),
        (lambda rows: rows.assign(p_FEAR=np.float32(2)), "a probability is not in [0, 1]"),
    ],
)
def test_predictions_that_are_not_the_trial_s_are_named(run, change, problem):
    path = run.trial(sub_01(run)).predictions
    rows = pd.read_parquet(path)
    texts = list(rows.select_dtypes("category"))
    changed = change(rows.astype(dict.fromkeys(texts, str)))
    changed.astype({name: "category" for name in texts if name in changed}).to_parquet(path)
    reseal(run.trial(sub_01(run)))
    assert any("predictions.parquet" in found and problem in found for found in problems(run))


@pytest.mark.parametrize("name", ["trial.json", "epochs.tsv", "predictions.parquet", "result.json"])
def test_a_file_of_a_trial_that_is_missing_or_cut_is_named(run, name):
    path = run.trial(sub_01(run)).path / name
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert any(name in problem for problem in problems(run))
    path.unlink()
    assert problems(run)


def test_a_folder_that_no_plan_has_is_named(run):
    shutil.copytree(run.trial(sub_01(run)).path, run.path / "trials" / "sub-09_copy")
    (found,) = problems(run)
    assert "sub-09_copy: belongs to no trial of plan.tsv" in found


def test_a_plan_that_contradicts_itself_is_named(run):
    text = run.plan_file.read_text()
    run.plan_file.write_text(text.replace("\t0.001\t", "\t0.5\t", 1))
    assert any("its learning_rate is not that of its settings" in problem for problem in problems(run))


@pytest.mark.parametrize("name", ["plan.tsv", "provenance.json", "experiment.yaml", "sources.json"])
def test_a_damaged_record_of_a_run_is_named(run, name):
    (run.path / name).write_bytes(b"\0\xff[")
    assert any(name in problem for problem in problems(run))


def test_provenance_that_was_lost_is_named(run):
    run.provenance_file.write_text("[]")
    assert sum("no launch in provenance.json" in problem for problem in problems(run)) == 6


def test_data_that_changed_are_named_and_data_elsewhere_are_noted(run, tiny_packed, tiny_labels, tmp_path):
    packed, labels = tmp_path / "packed", tmp_path / "labels.tsv"
    packed.mkdir()
    shutil.copy(tiny_packed / "sub-03.h5", packed / "sub-03.h5")
    shutil.copy(tiny_packed / "sub-01.h5", packed / "sub-01.h5")
    labels.write_text(tiny_labels.read_text().replace("FEAR", "AWE"))
    Sources(packed, labels).write(run.path)
    checked = verify(run)
    assert [problem for problem in checked.problems if "labels.tsv: has changed since it was trained on" in problem]
    assert [note for note in checked.notes if "sub-02.h5: cannot be reached" in note]
    volume = bytearray((packed / "sub-01.h5").read_bytes())
    volume[len(volume) // 2] ^= 1
    (packed / "sub-01.h5").write_bytes(volume)
    assert any("sub-01.h5" in problem for problem in problems(run, volumes=True))


def test_the_command_prints_a_line_per_problem_and_a_summary(run, command):
    done = command("deepemotion-launch", "verify", run.path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "6 trials, 6 of them done" in done.stderr
    assert done.stderr.rstrip().endswith("0 problems")
    (run.tables / "paired.csv").unlink()
    done = command("deepemotion-launch", "verify", run.path)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert "paired.csv: missing" in done.stdout
    assert command("deepemotion-launch", "verify", run.path / "trials").returncode == 2


def test_declared_comparisons_are_made_anew_and_compared(tmp_path):
    names = [(condition, fold) for condition in ("lr-0.001", "lr-0.0001") for fold in (1, 2, 3)]
    trials = [
        finished_run.planned(f"{condition}-{fold}", condition=condition, split={"protocol": "run", "fold": fold})
        for condition, fold in names
    ]
    run = finished_run.make(tmp_path / "run", trials)
    for trial in trials[:3]:
        finished_run.finish(run, trial, accuracy_validation=0.5 + 0.1 * trial.fold)
    rates = "{train.learning_rate: [0.001, 0.0001]}"
    run.experiment_file.write_text(f"plan: {{sweep: {rates}, compare: [lr-0.001, lr-0.0001]}}\n")
    (said,) = [sentence for sentence in write_evidence(run).pairs if "lr-0.0001" in sentence]
    assert "70.0 against 50.0 %, difference +20.0" in said
    found = Problems()
    check_tables(run, found)
    assert found.problems == []
    path = run.tables / "comparisons.csv"
    path.write_text(path.read_text().replace(",0.5,", ",0.4,"))
    check_tables(run, found)
    assert "comparisons.csv: second_accuracy differs in 1 rows" in found.problems[0]
