"""Selections of a run's trials: the latest, those that are done, those on permuted labels, those of controls, ..."""

from dataclasses import dataclass

import pandas as pd

from launcher.planning.training_sets import POOLED, SINGLE
from launcher.run.states import State

# These tell models apart; folds, seeds and permutations belong to one model.
KEYS = ["training_set", "condition", "setup", "protocol"]


@dataclass(frozen=True, eq=False)
class Trials:
    """Trials of a run; `table` has one row for each, with the columns of `trials.trials_table`.

    Each property selects some of them, so that they can be chained: `trials.latest.done.true_labels`.
    """

    table: pd.DataFrame

    @property
    def inner(self) -> "Trials":
        """Those of inner folds, which choose settings."""
        return Trials(self.table[self.table["outer"].notna()])

    @property
    def testing(self) -> "Trials":
        """Those that test a model: all but the inner ones, whose accuracy is for choosing only."""
        return Trials(self.table[self.table["outer"].isna()])

    @property
    def whole(self) -> "Trials":
        """Those that train on all of their training set, as models do: all but those of learning curves."""
        return Trials(self.table[self.table["curve"] == ""])

    @property
    def latest(self) -> "Trials":
        """Those that count: that test a model, without trials whose labels or volumes a later launch replaced."""
        table = self.testing.whole.table
        return Trials(table.drop_duplicates([*KEYS, "fold", "seed", "permutation"], keep="last"))

    @property
    def parts(self) -> "Trials":
        """Those of learning curves, which train on a part of their training set, without replaced ones."""
        return Trials(self.table[(self.table["curve"] != "") & ~self.table["replaced"]])

    @property
    def current(self) -> "Trials":
        """Those that are not replaced by trials in other places."""
        return Trials(self.table[self.table["state"] != State.REPLACED])

    @property
    def done(self) -> "Trials":
        """Those that have a result."""
        return Trials(self.table[self.table["state"] == State.DONE])

    @property
    def failed(self) -> "Trials":
        """Those that failed."""
        return Trials(self.table[self.table["state"] == State.FAILED])

    @property
    def true_labels(self) -> "Trials":
        """Those on true labels."""
        return Trials(self.table[self.table["permutation"] == 0])

    @property
    def permuted(self) -> "Trials":
        """Those on permuted labels."""
        return Trials(self.table[self.table["permutation"] > 0])

    @property
    def brain(self) -> "Trials":
        """Those of the brain. Numbers of the brain are made of these alone."""
        return Trials(self.table[self.table["control"] == ""])

    @property
    def controls(self) -> "Trials":
        """Those of controls without a brain."""
        return Trials(self.table[self.table["control"] != ""])

    @property
    def single(self) -> "Trials":
        """Those of single-subject models."""
        return Trials(of_kind(self.table, SINGLE))

    @property
    def pooled(self) -> "Trials":
        """Those of the pooled model."""
        return Trials(of_kind(self.table, POOLED))

    def of_condition(self, condition: str) -> "Trials":
        """Return those of a condition."""
        return Trials(self.table[self.table["condition"] == condition])

    @property
    def names(self) -> list[str]:
        """The names of the trials."""
        names: list[str] = self.table["trial"].tolist()
        return names

    @property
    def states(self) -> dict[str, int]:
        """How many trials are in each state, the commonest first."""
        return {str(state): int(count) for state, count in self.table["state"].value_counts().items()}

    def __len__(self) -> int:
        return len(self.table)


def of_kind(rows: pd.DataFrame, *kinds: str) -> pd.DataFrame:
    """Return the rows whose training sets' names begin with one of these, such as `training_sets.SINGLE`."""
    return rows[rows["training_set"].str.startswith(kinds)]
