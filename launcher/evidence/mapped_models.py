"""The models of a run whose saliency maps can be tested, and which of their trials are on which permutation."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from deepemotion.errors import UserError
from deepemotion.figures import label_audit
from launcher.planning.training_sets import POOLED, SINGLE
from launcher.tables import conditions
from launcher.tables.selection import Trials, of_kind

GROUP = "group"


@dataclass(frozen=True)
class MappedModel:
    """A model, or all single-subject models together (`group`), of one condition.

    `members` are its training sets. `trials` has for each of them and each of the `permutations` (0: true labels) the
    names of the trials, one per fold and seed. `below` are the members that do not exceed what labels alone score.
    """

    name: str
    condition: str
    members: list[str]
    permutations: list[int]
    trials: dict[tuple[str, int], list[str]]
    below: list[str]

    @property
    def counted(self) -> list[str]:
        """The names of all trials that count."""
        return [
            name
            for member in self.members
            for permutation in self.permutations
            for name in self.trials[member, permutation]
        ]

    @property
    def in_words(self) -> str:
        """What the model is."""
        return f"{len(self.members)} single-subject models" if self.name == GROUP else f"model {self.name}"


def select(trials: Trials, condition: str | None, model: str | None) -> list[MappedModel]:
    """Return the models of a condition: the one named, by default all single-subject models together and the pooled.

    A training set counts by the folds and seeds that are done on true labels; a permutation counts if it has them all.
    Raises UserError where nothing is done, the condition has to be chosen, or there is no such condition or model.
    """
    done = trials.brain.latest.done.table
    if not len(Trials(done).true_labels):
        raise UserError("no trial on true labels is done yet; maps need finished trials")
    names = conditions.names(done)
    if condition is None and names.nunique() > 1:
        raise UserError(f"several conditions: choose one with --condition: {', '.join(names.unique())}")
    chosen = str(names.iloc[0]) if condition is None else condition
    rows = done[names == chosen]
    if rows.empty:
        raise UserError(f"condition {chosen}: no finished trial; the run has {', '.join(names.unique())}")
    sets = sorted(rows.loc[rows["permutation"] == 0, "training_set"].unique())
    single = of_kind(pd.DataFrame({"training_set": sets}), SINGLE)["training_set"].tolist()
    available = {GROUP: single} if len(single) > 1 else {}
    available |= {name: [name] for name in sets}
    if model is None:
        wanted = [name for name in (GROUP, POOLED) if name in available] or sets[:1]
    elif model in available:
        wanted = [model]
    else:
        raise UserError(f"--model {model}: no finished trial in {chosen}; there are {', '.join(available)}")
    return [_model(name, chosen, available[name], rows) for name in wanted]


def _model(name: str, condition: str, members: list[str], rows: pd.DataFrame) -> MappedModel:
    rows = rows[rows["training_set"].isin(members)]
    found = {
        (str(member), permutation): names
        for member, of_member in rows.groupby("training_set")
        for permutation, names in _complete(of_member)
    }
    complete = set.intersection(*({k for of, k in found if of == member} for member in members))
    means = label_audit.model_means(rows[rows["permutation"] == 0])
    below = [str(member) for member in means.index[~means["beats_labels"]]]
    return MappedModel(name, condition, members, sorted(complete), found, below)


def _complete(rows: pd.DataFrame) -> Iterator[tuple[int, list[str]]]:
    """Yield each permutation of a training set that has the truth's every fold and seed, and its trials' names."""
    place = pd.Series(list(zip(rows["fold"].fillna(0), rows["seed"], strict=True)), rows.index)
    needed = set(place[rows["permutation"] == 0])
    for permutation in sorted(rows["permutation"].unique().tolist()):
        of_permutation = rows[rows["permutation"] == permutation]
        counted = of_permutation[place[of_permutation.index].isin(needed)]
        if len(counted) == len(needed):
            yield permutation, counted["trial"].tolist()
