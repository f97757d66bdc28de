"""Checks the tables of a run: they are made anew from the trials, elsewhere, and compared row by row."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.files import readable
from launcher.checking.predictions import PLACE, plain
from launcher.checking.problems import Problems, listed
from launcher.evidence.controls import COMPARED
from launcher.evidence.evidence import write_evidence
from launcher.evidence.learning_curves import SIZES
from launcher.run.directory import RunDirectory
from launcher.tables import stored
from launcher.tables.selection import KEYS

# What a row of each table is known by.
_KEYS = {
    "trials.csv": ["trial"],
    "trials.parquet": ["trial"],
    "epochs.parquet": ["trial", "epoch"],
    "predictions.parquet": ["trial", *PLACE],
    "statistics.csv": [*KEYS, "split"],
    "paired.csv": KEYS[1:],
    "comparisons.csv": ["first_condition", "second_condition", "models", "protocol"],
    "controls.csv": [*KEYS, "split"],
    "against_controls.csv": COMPARED,
    "learning_curve.csv": SIZES,
}
_REMEDY = "delete it; deepemotion-launch results writes it anew"
# Another machine may round the last digits of a score otherwise.
_TOLERANCE = 1e-9


def check_tables(run: RunDirectory, found: Problems) -> int:
    """Compare each table with what the trials give; return how many rows were compared.

    Nothing is written to the run. Raises UserError where a trial's file is damaged: no table can be made then.
    """
    rows = 0
    with TemporaryDirectory(prefix="deepemotion-verify-") as folder:
        anew = RunDirectory(run.path)
        anew.tables = Path(folder)
        write_evidence(anew)
        for name, key in _KEYS.items():
            if not (anew.tables / name).exists():
                if (run.tables / name).exists():
                    found.add(run.tables / name, f"no trial is done that it could come from; {_REMEDY}")
            elif not (run.tables / name).exists():
                found.add(run.tables / name, f"missing; deepemotion-launch results {run.path} writes it")
            else:
                rows += _check_table(run.tables / name, anew.tables / name, key, found)
    return rows


def _check_table(path: Path, made_anew: Path, key: list[str], found: Problems) -> int:
    try:
        table = _read(path)
    except UserError as error:
        found.problems.append(str(error))
        return 0
    differences = list(_differences(table, _read(made_anew), key))
    for difference in differences:
        found.add(path, difference)
    if not differences and not stored.is_intact(path):
        found.add(path, f"its rows are right, but the file is not as it was written ({stored.SUMS}); {_REMEDY}")
    return len(table)


def _read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return plain(stored.read_frame(path))
    with readable(path, _REMEDY):
        if not path.read_text(encoding="utf-8").strip():
            return pd.DataFrame()
        return pd.read_csv(path, dtype=str, keep_default_na=False)


def _differences(table: pd.DataFrame, derived: pd.DataFrame, key: list[str]) -> Iterator[str]:
    """Yield in words what a table has that the trials do not give, and the other way round."""
    for column in derived.columns.difference(table.columns, sort=False):
        yield f"the column {column} is missing"
    for column in table.columns.difference(derived.columns, sort=False):
        yield f"the column {column} comes from no trial"
    if not {*key} <= {*table.columns} & {*derived.columns}:
        return
    table, derived = _by_key(table, key), _by_key(derived, key)
    # What a trial itself has twice was named with the trial.
    derived = derived[~derived.index.duplicated()]
    doubled = table.index[table.index.duplicated()]
    if len(doubled):
        yield f"rows are doubled: {listed(list(doubled))}"
    foreign = table.index.difference(derived.index, sort=False)
    if len(foreign):
        yield f"rows come from no trial: {listed(list(foreign))}"
    missing = derived.index.difference(table.index, sort=False)
    if len(missing):
        yield f"rows are missing: {listed(list(missing))}"
    common = derived.index.intersection(table.index, sort=False)
    table, derived = table[~table.index.duplicated()].loc[common], derived.loc[common]
    for column in derived.columns.intersection(table.columns, sort=False):
        wrong = np.flatnonzero(~_equal(table[column], derived[column]))
        if len(wrong):
            row = wrong[0]
            what = f"{table[column].iloc[row]} where the trials give {derived[column].iloc[row]}"
            yield f"{column} differs in {len(wrong)} rows, the first is {common[row]}: {what}"


def _by_key(table: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Return the table with a text for each row by which it is known, such as `trial sub-01_..., epoch 3`."""
    parts = [f"{name} " + table[name].map(_text) for name in key]
    names = parts[0]
    for part in parts[1:]:
        names = names + ", " + part
    return table.set_index(pd.Index(names, dtype=object))


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _equal(values: pd.Series, derived: pd.Series) -> NDArray[np.bool_]:
    numbers, expected = (pd.to_numeric(column, errors="coerce") for column in (values, derived))
    close = np.isclose(numbers.astype(float), expected.astype(float), rtol=_TOLERANCE, atol=_TOLERANCE)
    equal: NDArray[np.bool_] = np.asarray(close, dtype=bool)
    rest = ~equal
    # What is no number, and what is not there in either.
    equal[rest] = [str(value) == str(other) for value, other in zip(values[rest], derived[rest], strict=True)]
    return equal
