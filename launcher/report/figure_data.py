"""The data of a run's figures: the finished trials of a condition, and what they predicted."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from deepemotion.errors import UserError
from deepemotion.figures import label_audit, scoring, style
from deepemotion.scoring.audit import beats
from launcher.run.directory import RunDirectory
from launcher.tables import conditions
from launcher.tables.selection import Trials


@dataclass(frozen=True)
class Choice:
    """What to draw: one condition or all (None); the subject and emotion of figure 4; the folder of annotations."""

    condition: str | None = None
    subject: str | None = None
    emotion: str | None = None
    annotations: Path | None = None


@dataclass(frozen=True)
class Material:
    """The finished trials of one condition and setup, on true labels, and what they predicted.

    `predictions` are those of tables/predictions.parquet, all folds and seeds, with a column
    training_set. `name` is the condition, and which setup where the run has several of that condition. `controls` are
    the trials, finished or not, of controls that these trials are compared with; `parts` those of its learning curves.
    """

    name: str
    condition: str
    trials: pd.DataFrame
    predictions: pd.DataFrame
    run: RunDirectory
    controls: Trials
    parts: Trials

    @property
    def classes(self) -> list[str]:
        """The emotions, in the order of the labels' file."""
        return classes(self.predictions)

    def rows(self, training_set: str, *splits: str) -> pd.DataFrame:
        """Return the predictions of a training set's models, of these splits."""
        mine = self.predictions[self.predictions["training_set"] == training_set]
        return mine[mine["split"].isin(splits)]

    def sets(self, *prefixes: str) -> list[str]:
        """Return the training sets whose names begin so, in order."""
        return sorted({name for name in self.trials["training_set"] if name.startswith(prefixes)})

    def below(self) -> list[str]:
        """Return the training sets whose models do not beat the label-only audit."""
        means = label_audit.model_means(self.trials)
        return [str(name) for name in means.index[~means["beats_labels"]]]

    def beats(self, model: str, split: str) -> bool:
        """Return whether a model's accuracy on its volumes of `split` exceeds all that needs no brain data there."""
        own = self.trials[self.trials["training_set"] == model]
        accuracy = scoring.over_folds(own, f"accuracy_{split}", split)
        return beats(accuracy, scoring.without_brain(own, split).values())

    def marks(self, models: list[str]) -> str:
        """Return the sentence on how many of the models do not beat the audit; nothing where all do."""
        below = set(models) & set(self.below())
        if not below:
            return ""
        if len(models) == 1:
            return style.DAGGER_MEANS
        return f"{style.DAGGER} {len(below)} of {len(models)} models do not exceed {style.AUDIT_IN_WORDS}."


def read(run: RunDirectory, trials: Trials, choice: Choice) -> list[Material]:
    """Return the material of each condition that has finished trials on true labels, none where no trial is done.

    Of trials whose data a later launch replaced, the last count.

    `trials` is what `trials.write_tables` returned. Raises UserError for a condition, subject or emotion that no
    finished trial has.
    """
    selected = trials.brain.latest.done.true_labels
    if choice.condition is not None:
        selected = selected.of_condition(choice.condition)
        if not len(selected):
            known = ", ".join(trials.brain.table["condition"].unique())
            raise UserError(f"condition {choice.condition}: no finished trial; the run has {known}")
    done = selected.table
    if done.empty:
        return []
    predictions = read_predictions(run, done)
    _check(choice, predictions)
    return list(_by_setup(run, done, predictions, trials))


def classes(predictions: pd.DataFrame) -> list[str]:
    """Return the emotions of a predictions table, which may have probabilities of other labels' classes as well."""
    names = [str(column)[2:] for column in predictions.columns if str(column).startswith("p_")]
    # A model that diverged, at a rate too high, gives no volume a probability.
    named = {*predictions["label"].unique(), *predictions["prediction"].unique()}
    return [name for name in names if name in named or predictions[f"p_{name}"].notna().any()]


def tested(predictions: pd.DataFrame) -> list[str]:
    """Return the subjects that have held-out volumes."""
    held_out = predictions[predictions["split"].isin(style.HELD_OUT)]
    return sorted(str(subject) for subject in held_out["subject"].unique())


def _by_setup(run: RunDirectory, done: pd.DataFrame, predictions: pd.DataFrame, trials: Trials) -> Iterator[Material]:
    controls, parts = trials.controls.latest.true_labels.table, trials.brain.parts.table
    for name, rows in done.groupby(conditions.names(done), sort=False):
        own = predictions[predictions["trial"].isin(rows["trial"])]
        condition, setup = str(rows["condition"].iloc[0]), rows["setup"].iloc[0]
        of_basis = Trials(controls[controls["basis"].isin(rows["basis"])])
        of_setup = Trials(parts[(parts["condition"] == condition) & (parts["setup"] == setup)])
        yield Material(str(name), condition, rows, own, run, of_basis, of_setup)


def read_predictions(run: RunDirectory, trials: pd.DataFrame) -> pd.DataFrame:
    """Return what these trials predicted, with the training set of each."""
    path = run.tables / "predictions.parquet"
    table: pd.DataFrame = pq.read_table(
        path, filters=[("trial", "in", trials["trial"].tolist())], page_checksum_verification=True
    ).to_pandas()
    for column in table.select_dtypes("category"):
        table[column] = table[column].astype(str)
    return table.merge(trials[["trial", "training_set"]], on="trial")


def _check(choice: Choice, predictions: pd.DataFrame) -> None:
    subjects, emotions = tested(predictions), classes(predictions)
    if choice.subject is not None and choice.subject not in subjects:
        raise UserError(f"subject {choice.subject}: no finished model was tested on it, only on {', '.join(subjects)}")
    if choice.emotion is not None and choice.emotion.upper() not in map(str.upper, emotions):
        raise UserError(f"emotion {choice.emotion}: not in this run, which has {', '.join(emotions)}")
