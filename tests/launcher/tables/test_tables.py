"""The tables of a run: what they hold of trials that differ, and when they are made anew."""

import json

import numpy as np
import pandas as pd
import small_plan

from launcher.run.directory import RunDirectory
from launcher.tables.epochs import epochs_table
from launcher.tables.held_out import read_held_out
from launcher.tables.selection import Trials
from launcher.tables.trials import write_tables

ACCURACIES = {"accuracy/train": 1.0, "accuracy/validation": 0.5}
RESULT = {"accuracy_train": 1.0, "accuracy_validation": 0.5, "epochs": 5}


def planned(name, permutation=0, fold=1, epochs=5):
    return small_plan.planned(name, split={"fold": fold}, data={"permutation": permutation}, train={"epochs": epochs})


def test_tables_hold_trials_of_other_classes_and_of_permuted_ones_only_what_tests(tmp_path):
    run = RunDirectory(tmp_path / "r")
    trials = [planned("true"), planned("other", epochs=9), planned("permuted", 1), planned("fold", fold=2)]
    run.add_to_plan(trials)
    for trial in trials[:3]:
        directory = run.trial(trial.name)
        number = trial.trial.train.epochs
        directory.write_epochs([{"epoch": epoch, **ACCURACIES} for epoch in range(1, number + 1)])
        directory.result.write_text(json.dumps(RESULT | {"epochs": number, "missing": "validation: LOVE"}))
        frame = pd.DataFrame({"subject": "01", "run": [1, 1, 1], "movie_time": [0.0, 2.0, 4.0]})
        frame["split"] = pd.Categorical(["train", "validation", ""])
        frame["label"] = frame["prediction"] = pd.Categorical(["FEAR"] * 3)
        frame["p_JOY" if trial.name == "other" else "p_FEAR"] = np.float32(1)
        frame.to_parquet(directory.predictions)
    table = write_tables(run).table.set_index("trial")
    assert table.loc["true", "missing"] == "validation: LOVE"
    assert table.loc["fold", "missing"] == ""
    assert table.loc["true", "setup"] == table.loc["permuted", "setup"] == table.loc["fold", "setup"]
    assert table.loc["other", "setup"] != table.loc["true", "setup"]
    written = pd.read_parquet(run.tables / "predictions.parquet").astype({"trial": str})
    assert written.groupby("trial").size().to_dict() == {"true": 3, "other": 3, "permuted": 1}
    assert written.loc[written["trial"] == "true", ["p_FEAR", "p_JOY"]].isna().any().tolist() == [False, True]
    held_out = read_held_out(run.tables / "predictions.parquet", Trials(table.reset_index()))
    assert sorted(held_out.classes) == ["FEAR", "JOY"]
    assert held_out.permuted[["trial", "label", "n"]].astype(str).values.tolist() == [["permuted", "FEAR", "1"]]


def test_predictions_are_gathered_anew_only_where_they_changed(tmp_path):
    run = RunDirectory(tmp_path / "r")
    run.add_to_plan([planned("one"), planned("two", fold=2)])
    table = run.tables / "predictions.parquet"

    def train(name, volumes):
        directory = run.trial(name)
        directory.write_epochs([{"epoch": epoch, **ACCURACIES} for epoch in range(1, 6)])
        directory.result.write_text(json.dumps(RESULT))
        split = pd.Categorical(["validation"] * volumes)
        pd.DataFrame({"split": split, "label": split, "prediction": split}).to_parquet(directory.predictions)

    def gathered():
        write_tables(run)
        rows = pd.read_parquet(table).astype({"trial": str}).groupby("trial").size().to_dict()
        return rows, table.stat().st_ino

    train("one", 3)
    first = gathered()
    assert first[0] == {"one": 3}
    assert gathered() == first
    train("two", 2)
    assert gathered()[0] == {"one": 3, "two": 2}
    train("one", 4)
    assert gathered()[0] == {"one": 4, "two": 2}


def test_epochs_of_trials_with_other_columns_are_in_one_table(tmp_path):
    run = RunDirectory(tmp_path / "r")
    run.add_to_plan([planned("one"), planned("two", fold=2), planned("three", fold=3), planned("permuted", 1)])
    histories = {
        "one": [{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": float("nan")}],
        "two": [{"epoch": 1, "loss": 1 / 3, "more": 5}],
        "permuted": [{"epoch": 1, "loss": 7.0}],
    }
    for name, history in histories.items():
        run.trial(name).path.mkdir(parents=True)
        run.trial(name).write_epochs([metrics | ACCURACIES for metrics in history])
    table = epochs_table(run)
    assert table["trial"].tolist() == ["one", "one", "two"]
    assert table["fold"].tolist() == [1, 1, 2]
    np.testing.assert_array_equal(table["loss"], [0.1, np.nan, 1 / 3])
    np.testing.assert_array_equal(table["more"], [np.nan, np.nan, 5])
