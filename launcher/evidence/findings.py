"""What a run's trials show: their scores and comparisons, which rows to report, their marks, and notes on them."""

from dataclasses import dataclass, field
from functools import partial

import pandas as pd

from launcher.evidence.ceiling import ceiling_note
from launcher.evidence.controls import against_controls, sentences, with_controls
from launcher.evidence.models import ALL_SINGLE, TOGETHER
from launcher.evidence.paired import single_against_pooled
from launcher.evidence.statistics import ALTERNATIVES, LEVEL, score_table
from launcher.planning.training_sets import POOLED, SINGLE
from launcher.run.directory import RunDirectory
from launcher.tables import hparams, stored
from launcher.tables.held_out import HeldOutPredictions
from launcher.tables.selection import Trials

_TESTED = hparams.COLUMNS | {"best control": "best_control_accuracy", "p": "p"}
NOT_ABOVE = "†"
NOT_SIGNIFICANT = "‡"
NOT_BEATING = "§"
MARKS = (NOT_ABOVE, NOT_SIGNIFICANT, NOT_BEATING)


@dataclass(frozen=True)
class Findings:
    """What the trials of a run show.

    `scores` are the brain's (`score_table`, `with_controls`), `paired` compares single-subject models with the pooled
    one. `controls` has the scores of controls, and `compared` the brain against each of them (`against_controls`).
    """

    trials: Trials
    scores: pd.DataFrame = field(default_factory=pd.DataFrame)
    paired: pd.DataFrame = field(default_factory=pd.DataFrame)
    controls: pd.DataFrame = field(default_factory=pd.DataFrame)
    compared: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def on_controls(self) -> list[str]:
        """How the best condition of each model, or of models of a kind together, compares with the controls."""
        best = best_rows(self.scores)
        if best.empty:
            return []
        together = tuple(kind for kind, name in TOGETHER.items() if name in set(best["training_set"]))
        return sentences(best[~best["training_set"].str.startswith(together)])

    @property
    def notes(self) -> list[str]:
        """The sentences that belong to the scores."""
        return notes(self.scores, self.trials.brain)


def compute_findings(trials: Trials, held_out: HeldOutPredictions) -> Findings:
    """Return what a run's trials and their predictions show."""
    compared = against_controls(trials, held_out)
    return Findings(
        trials,
        with_controls(score_table(trials.brain, held_out), compared),
        single_against_pooled(trials.brain, held_out),
        score_table(trials.controls, held_out),
        compared,
    )


def write_findings(run: RunDirectory, findings: Findings) -> None:
    """Write tables/statistics.csv and paired.csv, and those of controls if there are any, for other programs."""
    tables = {"statistics": findings.scores, "paired": findings.paired}
    if len(findings.trials.controls):
        tables |= {"controls": findings.controls, "against_controls": findings.compared}
    for name, content in tables.items():
        stored.write(run.tables / f"{name}.csv", partial(content.to_csv, index=False))


def tested(scores: pd.DataFrame) -> hparams.Tested:
    """Return what TensorBoard shows of each kind of model: its scores together, or those of its only model."""
    prefixes = {name: prefix for prefix, name in TOGETHER.items()}
    shown: dict[tuple[str, str, str], dict[str, float]] = {}
    # Models together come after those alone, which they replace.
    for row in sorted(scores.to_dict("records"), key=lambda row: row["training_set"] in prefixes):
        kind = hparams.kind_of(prefixes.get(row["training_set"], row["training_set"]))
        if row["split"] == hparams.split_of(kind):
            shown[kind, row["condition"], row["setup"]] = {name: row[column] for name, column in _TESTED.items()}
    return shown


def remove_findings(run: RunDirectory) -> None:
    """Remove the tables of findings of a run in which no trial counts any more."""
    for name in ("statistics", "paired", "controls", "against_controls", "comparisons", "learning_curve"):
        stored.remove(run.tables / f"{name}.csv")


def best_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of each training set's most accurate condition under each protocol and on each split.

    A condition whose settings inner folds chose has a row beside the best of the others.

    Single subjects come first, then these together, pooled, others, and others together.
    """
    if table.empty:
        return table
    best = table.loc[table.groupby(ALTERNATIVES)["accuracy"].idxmax()]
    rank = {ALL_SINGLE: 1, POOLED: 2} | dict.fromkeys(set(TOGETHER.values()) - {ALL_SINGLE}, 4)
    order = [(0 if name.startswith(SINGLE) else rank.get(name, 3), name) for name in best["training_set"]]
    return best.iloc[sorted(range(len(best)), key=order.__getitem__)]


def chosen(row: pd.Series) -> str:
    """Return how a row's condition was chosen: `inside` by inner folds, `by validation` among others, "" if given."""
    return "by validation" if row["conditions"] > 1 else "inside" if row["nested"] else ""


def marks(row: pd.Series) -> str:
    """Return † for what does not exceed labels alone, ‡ for what permutations reach as well, § for what controls do."""
    # A q of 6 x 0.05 / 6 is a rounding error above 0.05.
    significant = not row["p_bh"] > LEVEL + 1e-9
    return ("" if row["beats_labels"] else NOT_ABOVE) + ("" if significant else NOT_SIGNIFICANT) + control_mark(row)


def control_mark(row: pd.Series) -> str:
    """Return § for what is not shown to exceed every control, nothing where that is unknown."""
    beats = row["beats_controls"]
    return "" if pd.isna(beats) or beats else NOT_BEATING


def notes(table: pd.DataFrame, trials: Trials) -> list[str]:
    """Return the sentences that belong to a table of scores."""
    if table.empty:
        return []
    sentences = [f"{NOT_ABOVE} does not exceed what labels alone, the majority class or chance score"]
    least, most = table["permutations"].min(), table["permutations"].max()
    if most:
        number = f"{most}" if least == most else f"{least} to {most}"
        sentences.append(
            f"{NOT_SIGNIFICANT} q > {LEVEL:g}; permutations of the labels: {number}, so p is never below"
            f" {1 / (1 + most):.2g}; q: p corrected over models of a kind (Benjamini-Hochberg)"
        )
    if not least:
        where = "where permutations of every fold and seed are missing" if most else "since there are no permutations"
        sentences.append(f"p is empty {where}: launch again with --permutations 19 or more")
    sentences += _on_controls(table)
    if (table["conditions"] > 1).any():
        sentences.append(
            "each model's best condition is shown; p counts that it was chosen, its accuracy does not: use accuracies"
            " chosen by validation for choosing, not for claims"
        )
    if (table["nested"] & (table["conditions"] == 1)).any():
        sentences.append(
            "chosen inside: inner folds chose the settings and the epoch before the outer folds tested them, so the"
            " accuracy is a claim"
        )
    if (table["trials"] < table["planned"]).any():
        sentences.append("some models lack folds that are not done yet: their numbers will change")
    return [*sentences, ceiling_note(table), *_missing(trials)]


def _on_controls(table: pd.DataFrame) -> list[str]:
    """Return the sentences on what the scores were compared with that holds no brain."""
    compared = table["best_control"] != ""
    sentences = []
    if compared.any():
        sentences.append(
            f"{NOT_BEATING} not shown to exceed every control without a brain: p > {LEVEL:g} against at least one, over"
            " blocks of the movie or, for five or more subjects together, over subjects"
        )
    if (compared & table["beats_controls"].isna()).any():
        sentences.append("some controls lack folds that are not done yet, so their comparison is open")
    return sentences


def _missing(trials: Trials) -> list[str]:
    """Return a sentence for each fold and set of classes that one of its sides lacks."""
    done = trials.latest.done.true_labels.table
    done = done[done["missing"] != ""]
    sentences = []
    pairs = zip(done["protocol"], done["fold"], strict=True)
    # In words at once: a protocol without folds has none in any row, and pandas fills such a column with numbers only.
    places = pd.Series([protocol if pd.isna(fold) else f"{protocol} {fold}" for protocol, fold in pairs], done.index)
    for (place, missing), rows in done.groupby([places, "missing"], sort=False):
        sentences.append(f"no volume of a class, {place} ({rows['training_set'].nunique()} models): {missing}")
    return sentences
