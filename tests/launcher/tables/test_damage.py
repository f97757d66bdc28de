"""Tables are made from undamaged files only, and what is damaged is named in one line."""

import json
import os
import shutil

import pandas as pd
import pyarrow.parquet as pq
import pytest
from finished_run import EPOCHS, finish, make, planned

from deepemotion.errors import UserError
from launcher.evidence.evidence import write_evidence
from launcher.monitoring import status
from launcher.tables import stored
from launcher.tables.freshness import are_current
from launcher.tables.trials import write_tables

NAMES = ["one", "two"]


@pytest.fixture
def run(tmp_path):
    """A run of two trials that are done."""
    return make(tmp_path / "run", [planned(name, f"0{i + 1}") for i, name in enumerate(NAMES)])


def flip(path, place):
    """Flip a bit of the byte at this share of a file."""
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"accuracy_validation": 7.0}, "accuracy_validation is 7"),
        ({"accuracy_train": -0.1}, "accuracy_train is -0.1"),
        ({"macro_f1_validation": float("nan")}, "macro_f1_validation is nan"),
        ({"chance": float("inf")}, "chance is inf"),
        ({"accuracy_validation": "0.5"}, "accuracy_validation is no number"),
        ({"accuracy_validation": None}, "accuracy_validation is no number"),
        ({"accuracy_validation": True}, "accuracy_validation is no number"),
        ({"brier_validation": 2.5}, "brier_validation is 2.5"),
        ({"n_validation": -1}, "n_validation is -1"),
        ({"epochs": EPOCHS - 1}, f"{EPOCHS - 1} epochs where {EPOCHS} are planned"),
        ({"missing": 3}, "missing is no text"),
    ],
)
def test_an_impossible_result_is_named(run, changes, problem):
    finish(run, run.read_plan()[1], **changes)
    with pytest.raises(UserError, match=rf"two/result\.json: damaged \({problem}.*\); delete it and launch again"):
        write_tables(run)


@pytest.mark.parametrize("text", ["{}", "[]", "null", "3", "\0\0\0\0", '{"accuracy_train": 1.0}'])
def test_a_result_without_its_content_is_named(run, text):
    run.trial("two").result.write_text(text)
    with pytest.raises(UserError, match=r"two/result\.json: .*launch again"):
        write_tables(run)


def lines(run, name):
    return run.trial(name).epochs.read_text().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda rows: [*rows, rows[-1]], f"{EPOCHS + 1} of {EPOCHS} epochs"),
        (lambda rows: rows[:-1], f"{EPOCHS - 1} of {EPOCHS} epochs"),
        (lambda rows: [*rows[:2], rows[1], rows[3]], "epoch 1 where 2 is due"),
        (lambda rows: [rows[0].replace("accuracy/train", "accuracy"), *rows[1:]], "no column accuracy/train"),
        (lambda rows: [*rows[:-1], rows[-1].replace("0.5", "50.0")], "accuracy/validation is 50 in epoch 3"),
        (lambda rows: [*rows[:-1], rows[-1].replace("0.5", "nan")], "accuracy/validation is nan in epoch 3"),
    ],
)
def test_impossible_epochs_are_named(run, change, problem):
    run.trial("two").epochs.write_text("".join(change(lines(run, "two"))))
    with pytest.raises(UserError, match=rf"two/epochs\.tsv: damaged \({problem}\); delete it and result\.json beside"):
        write_tables(run)


def test_epochs_with_two_columns_of_one_name_are_named(run):
    header, *rows = lines(run, "two")
    doubled = [header.replace("\n", "\taccuracy/train\n"), *(row.replace("\n", "\t0.5\n") for row in rows)]
    run.trial("two").epochs.write_text("".join(doubled))
    with pytest.raises(UserError, match=r"two/epochs\.tsv: cannot be read \(two columns have one name\)"):
        write_tables(run)


def test_epochs_of_a_trial_that_is_done_cannot_be_missing(run):
    run.trial("one").epochs.unlink()
    with pytest.raises(UserError, match=r"one/epochs\.tsv: missing, though the trial is done"):
        write_tables(run)


def test_status_names_epochs_with_another_header(run):
    run.trial("two").epochs.write_text("a\tb\n1\t2\n")
    with pytest.raises(UserError, match=r"two/epochs\.tsv: damaged \(no column epoch\)"):
        status.read(run)


@pytest.mark.parametrize("text", ["{}", '{"reason": 3, "session": "1"}', '{"reason": "lost"}', "[]"])
def test_a_failure_without_its_content_is_named(run, text):
    directory = run.trial("two")
    directory.result.unlink()
    directory.failure.write_text(text)
    for read in (write_tables, status.read):
        with pytest.raises(UserError, match=r"two/failure\.json: .*delete it and launch again"):
            read(run)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.97, 1.0])
@pytest.mark.parametrize("name", ["predictions.parquet", "trials.parquet", "epochs.parquet", "trials.csv"])
def test_a_table_in_which_a_bit_flipped_is_made_again(run, name, place, capsys):
    write_evidence(run)
    intact = {path.name: path.read_bytes() for path in run.tables.iterdir()}
    flip(run.tables / name, place)
    assert not are_current(run) or name == "predictions.parquet"
    write_evidence(run)
    assert {path.name: path.read_bytes() for path in run.tables.iterdir()} == intact
    if name == "predictions.parquet":
        assert "predictions.parquet: damaged since it was written" in capsys.readouterr().err


def test_a_table_that_is_read_elsewhere_is_compared_with_its_pages_checksums(run):
    write_tables(run)
    path = run.tables / "predictions.parquet"
    column = pq.read_metadata(path).row_group(0).column(1)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"predictions\.parquet: cannot be read"):
        stored.read_frame(path)


def test_content_decides_whether_tables_are_up_to_date(run):
    """Clocks are set back, and copies keep times."""
    write_tables(run)
    assert are_current(run)
    finish(run, run.read_plan()[0], accuracy_train=0.75)
    for path in (run.trial("one").result, run.trial("one").predictions):
        os.utime(path, (0, 0))
    assert not are_current(run)
    write_tables(run)
    assert are_current(run)
    assert pd.read_parquet(run.tables / "trials.parquet")["accuracy_train"].tolist() == [0.75, 1.0]


def test_predictions_of_equal_size_and_time_are_told_apart(run):
    write_tables(run)
    directory = run.trial("one")
    times = directory.predictions.stat()
    table = pd.read_parquet(directory.predictions)
    table["movie_time"] = table["movie_time"].to_numpy()[::-1]
    table.to_parquet(directory.predictions)
    os.utime(directory.predictions, ns=(times.st_atime_ns, times.st_mtime_ns))
    write_tables(run)
    written = pd.read_parquet(run.tables / "predictions.parquet").astype({"trial": str})
    assert written.loc[written["trial"] == "one", "movie_time"].tolist() == [6.0, 4.0, 2.0, 0.0]


def test_a_copy_of_a_run_has_the_same_tables(run, tmp_path):
    write_tables(run)
    shutil.copytree(run.path, tmp_path / "copy")
    copy = type(run)(tmp_path / "copy")
    assert are_current(copy)


def test_classes_missing_under_a_protocol_without_folds_are_reported(run):
    finish(run, run.read_plan()[1], missing="validation: FEAR")
    assert "no volume of a class, random (1 models): validation: FEAR" in write_evidence(run).notes


def test_trials_that_have_not_ended_have_the_states_that_status_shows(run):
    run.add_to_plan([planned("begun", "03"), planned("new", "04")])
    finish(run, planned("begun", "03"))
    run.trial("begun").result.unlink()
    table = write_tables(run).table.set_index("trial")["state"]
    assert (table["begun"], table["new"]) == ("stopped", "planned")
    shown = {one.trial.name: one.state for one in status.read(run)}
    assert shown == table.to_dict()


def test_a_result_is_a_json_object_with_finite_numbers(run):
    """What a trial may leave out, it may leave out."""
    result = json.loads(run.trial("one").result.read_text())
    for key in ("label_only_accuracy", "missing", "chance"):
        del result[key]
    run.trial("one").result.write_text(json.dumps(result))
    assert write_tables(run).table["missing"].tolist() == ["", ""]
