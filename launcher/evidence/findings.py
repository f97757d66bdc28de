"""What is told of a run's statistics: the rows that count, their marks, and the sentences they need."""

from dataclasses import dataclass

import pandas as pd

from deepemotion.files import atomic_path
from launcher.evidence.paired import single_against_pooled
from launcher.evidence.statistics import LEVEL, SINGLE, TOGETHER, statistics
from launcher.run.directory import RunDirectory
from launcher.tables.held_out import read_answers
from launcher.tables.trials import latest

NOT_ABOVE = "†"
NOT_SIGNIFICANT = "‡"


@dataclass(frozen=True)
class Findings:
    """A run's statistics, single-subject models against the pooled one, and what has to be said with them."""

    statistics: pd.DataFrame
    paired: pd.DataFrame
    notes: list[str]


def find(run: RunDirectory, trials: pd.DataFrame) -> Findings:
    """Return the findings from the run's tables, and write tables/statistics.csv and paired.csv for reading elsewhere.

    `trials` is what `results.write_tables` returned.
    """
    path = run.tables / "predictions.parquet"
    if not path.exists():
        return Findings(pd.DataFrame(), pd.DataFrame(), [])
    answers = read_answers(path, trials)
    table, paired = statistics(trials, answers), single_against_pooled(trials, answers)
    for name, content in (("statistics", table), ("paired", paired)):
        with atomic_path(run.tables / f"{name}.csv") as temporary:
            content.to_csv(temporary, index=False)
    return Findings(table, paired, notes(table, trials))


def best_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the statistics of each training set's most accurate condition under each protocol and on each split.

    Single subjects come first, then these together, pooled, others, and others together.
    """
    if table.empty:
        return table
    best = table.loc[table.groupby(["training_set", "protocol", "split"])["accuracy"].idxmax()]
    rank = {SINGLE: 1, "pooled": 2} | dict.fromkeys(set(TOGETHER.values()) - {SINGLE}, 4)
    order = [(0 if name.startswith("sub-") else rank.get(name, 3), name) for name in best["training_set"]]
    return best.iloc[sorted(range(len(best)), key=order.__getitem__)]


def marks(row: pd.Series) -> str:
    """Return † for what does not exceed the scores of labels alone, ‡ for what permutations reach as well."""
    # A q of 6 x 0.05 / 6 is a rounding error above 0.05.
    significant = not row["p_bh"] > LEVEL + 1e-9
    return ("" if row["beats_labels"] else NOT_ABOVE) + ("" if significant else NOT_SIGNIFICANT)


def notes(table: pd.DataFrame, trials: pd.DataFrame) -> list[str]:
    """Return the sentences that belong to the statistics."""
    if table.empty:
        return []
    said = [f"{NOT_ABOVE} does not exceed what labels alone, the majority class or chance score"]
    least, most = table["permutations"].min(), table["permutations"].max()
    if most:
        number = f"{most}" if least == most else f"{least} to {most}"
        said.append(
            f"{NOT_SIGNIFICANT} q > {LEVEL:g}; permutations of the labels: {number}, so p is never below"
            f" {1 / (1 + most):.2g}; q: p corrected over models of a kind (Benjamini-Hochberg)"
        )
    if not least:
        where = "where permutations of every fold and seed are missing" if most else "since there are no permutations"
        said.append(f"p is empty {where}: launch again with --permutations 19 or more")
    if (table["conditions"] > 1).any():
        said.append("each model's best condition is shown; p counts that it was chosen")
    if (table["trials"] < table["planned"]).any():
        said.append("some models lack folds that are not done yet: their numbers will change")
    return said + _missing(trials)


def _missing(trials: pd.DataFrame) -> list[str]:
    """Return a sentence a fold and set of classes that a side of it lacks."""
    done = latest(trials)
    done = done[(done["state"] == "done") & (done["permutation"] == 0) & (done["missing"] != "")]
    said = []
    places = done["protocol"] + done["fold"].map(lambda fold: f" {fold}", na_action="ignore").fillna("").astype(str)
    for (place, missing), rows in done.groupby([places, "missing"], sort=False):
        said.append(f"no volume of a class, {place} ({rows['training_set'].nunique()} models): {missing}")
    return said
