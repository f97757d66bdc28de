"""`verify` names every table of a run that is missing or damaged, or has another number, row or column."""

import pandas as pd
import pytest

from launcher.checking.run import verify


def frames(run, name, change):
    """Change a table that is Parquet, and write it as a stranger would."""
    path = run.tables / f"{name}.parquet"
    frame = pd.read_parquet(path)
    frame = frame.astype(dict.fromkeys(frame.select_dtypes("category"), str))
    change(frame).to_parquet(path)


def raised(frame, column):
    frame = frame.copy()
    frame.loc[frame.index[1], column] = 0.999
    return frame


# A column of numbers of each table that is Parquet.
NUMBERS = {"trials": "accuracy_validation", "epochs": "accuracy/train", "predictions": "p_FEAR"}


@pytest.mark.parametrize("way", ["changed", "doubled", "missing", "foreign", "column"])
def test_a_table_with_another_row_is_named(run, way):
    expected = {}
    for name, column in NUMBERS.items():
        changes = {
            "changed": (lambda frame, column=column: raised(frame, column), f"{column} differs in 1 rows"),
            "doubled": (lambda frame: pd.concat([frame, frame.iloc[[0]]]), "rows are doubled"),
            "missing": (lambda frame: frame.iloc[1:], "rows are missing"),
            "foreign": (lambda frame: pd.concat([frame, frame.iloc[[0]].assign(trial="x")]), "rows come from no trial"),
            "column": (lambda frame, column=column: frame.drop(columns=[column]), f"the column {column} is missing"),
        }
        change, expected[name] = changes[way]
        frames(run, name, change)
    found = verify(run).problems
    assert len(found) == len(NUMBERS)
    for name, problem in expected.items():
        (named,) = [line for line in found if f"{name}.parquet: " in line]
        assert problem in named


def test_a_text_table_with_another_number_or_row_is_named(run):
    columns = {"trials.csv": "accuracy_validation", "statistics.csv": "protocol", "paired.csv": "protocol"}
    content = {name: (run.tables / name).read_text().splitlines(keepends=True) for name in columns}
    for name, column in columns.items():
        header, row, *rows = content[name]
        cells, place = row.rstrip("\n").split(","), header.rstrip("\n").split(",").index(column)
        changed = ",".join([*cells[:place], "0.123", *cells[place + 1 :]]) + "\n"
        (run.tables / name).write_text("".join([header, changed, *rows]))
    found = verify(run).problems
    assert all(any(name in problem for problem in found) for name in columns)
    for name, (header, row, *rows) in content.items():
        (run.tables / name).write_text("".join([header, row, row, *rows]))
    found = verify(run).problems
    assert len(found) == len(columns)
    assert all(any(f"{name}: rows are doubled" in problem for problem in found) for name in columns)


def test_a_table_that_is_missing_or_damaged_is_named(run):
    names = ["trials.parquet", "predictions.parquet", "trials.csv", "statistics.csv"]
    content = {name: (run.tables / name).read_bytes() for name in names}
    for name in names:
        (run.tables / name).unlink()
    found = verify(run).problems
    assert all(any(f"{name}: missing" in problem for problem in found) for name in names)
    for damage in (
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-6] + bytes([whole[-6] ^ 2]) + whole[-5:],
    ):
        for name in names:
            (run.tables / name).write_bytes(damage(content[name]))
        found = verify(run).problems
        assert all(any(name in problem for problem in found) for name in names)
