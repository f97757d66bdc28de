"""Whether models of the brain decode more than controls without a brain, over the same volumes.

A model beats its controls if it exceeds each of them at 5 %. The p-values need no correction for the number of
controls: a model that is no better than one of them has to pass the test against that one, which at most 5 % do, as
well as all others (the intersection-union test, Berger 1982, Technometrics 24:295).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepemotion.samples.movie_blocks import label_blocks
from deepemotion.scoring import exceeding
from launcher.evidence.models import Model, Volumes, tested_models, volumes_of
from launcher.tables.held_out import HeldOutPredictions
from launcher.tables.selection import KEYS, Trials

LEVEL = 0.05
# What tells a row of `against_controls` apart.
COMPARED = [*KEYS, "split", "control", "control_setup"]

Floats = NDArray[np.float64]
# A control's trials by training set and fold; those of each control and setup, by basis.
_Places = Mapping[tuple[str, int], list[str]]
_ByBasis = Mapping[str, Mapping[tuple[str, str], _Places]]


def against_controls(trials: Trials, held_out: HeldOutPredictions) -> pd.DataFrame:
    """Return a row for each of the brain's `tested_models` and each control of the same volumes, labels and split.

    Columns: training_set, condition, setup, protocol, split; control and control_setup; control_accuracy, over the
    model's volumes and the mean over the control's seeds; difference (model - control) with difference_low and _high
    (95 %); p_blocks, over blocks of the movie (the larger p of `exceeding.over_blocks` and, of models that stand
    together, `exceeding.by_exchange`); p_subjects, over the subjects of models that
    stand together (`exceeding.over_subjects`), else nan; beats, whether the model is better by both. Where the control
    lacks a fold, nothing is known.
    """
    if not len(trials.controls):
        return pd.DataFrame()
    volumes = volumes_of(held_out)
    answers = _Answers(held_out, volumes)
    planned = _by_basis(trials.controls)
    rows: list[dict[str, Any]] = []
    for model in tested_models(trials.brain, volumes):
        tested = held_out.true.iloc[model.rows]
        label = held_out.codes(tested["label"])
        block = label_blocks(tested["run"].to_numpy(), tested["movie_time"].to_numpy(), label)
        for (control, setup), places in _of_model(model, planned).items():
            right = answers.over(model, places)
            row = {**model.place, "control": control, "control_setup": setup}
            rows.append(row | compare(answers.right[model.rows], right, block, _subjects(model, tested)))
    return pd.DataFrame(rows).astype({"beats": "boolean"}) if rows else pd.DataFrame()


def with_controls(scores: pd.DataFrame, compared: pd.DataFrame) -> pd.DataFrame:
    """Return scores of the brain with best_control, best_control_accuracy and beats_controls of each row.

    `beats_controls` is unknown, as is the best control, where there are no controls. One that lacks a fold makes it
    unknown, unless another is not beaten.
    """
    if scores.empty:
        return scores
    of_model = {} if compared.empty else dict(list(compared.groupby([*KEYS, "split"], sort=False)))
    rows = []
    for key in scores[[*KEYS, "split"]].itertuples(index=False, name=None):
        controls = of_model.get(key)
        known = pd.DataFrame() if controls is None else controls[controls["control_accuracy"].notna()]
        best = None if known.empty else known.sort_values("control_accuracy").iloc[-1]
        rows.append(
            {
                "best_control": "" if best is None else best["control"],
                "best_control_accuracy": np.nan if best is None else best["control_accuracy"],
                # Of unknown values, `all` makes False where one is False, else unknown.
                "beats_controls": pd.NA if controls is None else controls["beats"].all(skipna=False),
            }
        )
    return scores.join(pd.DataFrame(rows, scores.index).astype({"beats_controls": "boolean"}))


def sentences(scores: pd.DataFrame) -> list[str]:
    """Return a sentence for each of these scores that has controls: how it compares with them."""
    return [_sentence(row) for _, row in scores[scores["best_control"] != ""].iterrows()]


def _sentence(row: pd.Series) -> str:
    names = [row["training_set"], *(["on unseen"] if row["split"] == "unseen" else []), f"({row['condition']},"]
    model = " ".join([*names, f"{row['protocol']}):"])
    control, best = row["best_control"], 100 * row["best_control_accuracy"]
    accuracy = f"{100 * row['accuracy']:.1f} %"
    if pd.isna(row["beats_controls"]):
        return f"{model} {accuracy}; not all controls are done yet, so the comparison with them is open"
    if row["beats_controls"]:
        return f"{model} {accuracy} beats every control; the best is {control} with {best:.1f} %"
    exceeds = "is not shown to exceed" if row["accuracy"] > row["best_control_accuracy"] else "does not exceed"
    return f"{model} {accuracy} {exceeds} {control} alone, with {best:.1f} %"


def _by_basis(controls: Trials) -> _ByBasis:
    """Return the trials on true labels of each control and setup by training set and fold, of each basis."""
    places: defaultdict[str, Any] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    table = controls.latest.true_labels.table
    columns = (table[name] for name in ("basis", "control", "setup", "training_set", "trial"))
    for fold, basis, control, setup, training_set, name in zip(table["fold"].fillna(0), *columns, strict=True):
        places[basis][control, setup][training_set, fold].append(name)
    return places


def _of_model(model: Model, planned: _ByBasis) -> Mapping[tuple[str, str], _Places]:
    """Return the trials of each control and setup that have the model's volumes and labels."""
    bases = model.scored["basis"].astype(str)
    if bases.nunique() == 1:
        return planned[bases.iloc[0]]
    # A nested selection may choose another lag for each fold: then controls are put together from several setups.
    found: defaultdict[tuple[str, str], defaultdict[tuple[str, int], list[str]]] = defaultdict(
        lambda: defaultdict(list)
    )
    columns = (model.scored["member"], model.scored["fold"].fillna(0), bases)
    for member, fold, basis in dict.fromkeys(zip(*columns, strict=True)):
        for (control, _), places in planned[basis].items():
            found[control, ""].setdefault((member, fold), []).extend(places.get((member, fold), []))
    return found


class _Answers:
    """Which volumes each trial answers rightly."""

    def __init__(self, held_out: HeldOutPredictions, volumes: Volumes) -> None:
        true = held_out.true
        self.right = (held_out.codes(true["label"]) == held_out.codes(true["prediction"])).astype(np.float64)
        self._volumes = volumes
        places = true.groupby(["subject", "run", "movie_time"], observed=True, sort=False)
        self._volume = places.ngroup().to_numpy().astype(np.int64)
        self._count = places.ngroups

    def over(self, model: Model, places: Mapping[tuple[str, int], Sequence[str]]) -> Floats:
        """Return (N,) the share of a control's trials that answer each of the model's volumes rightly.

        `places` are the control's trials by training set and fold. A volume that none of them has is nan.
        """
        parts = []
        columns = (model.scored["member"], model.scored["fold"].fillna(0), model.scored["trial"])
        for member, fold, name in zip(*columns, strict=True):
            wanted = self._volume[self._volumes[name, model.split]]
            answers = [self._of(other, model.split, wanted) for other in places.get((member, fold), ())]
            done = [answer for answer in answers if answer is not None]
            parts.append(np.mean(done, axis=0) if done else np.full(len(wanted), np.nan))
        return np.concatenate(parts)

    def _of(self, trial: str, split: str, wanted: NDArray[np.int64]) -> Floats | None:
        rows = self._volumes.get((trial, split))
        if rows is None:
            return None
        by_volume = np.full(self._count, np.nan)
        by_volume[self._volume[rows]] = self.right[rows]
        answers: Floats = by_volume[wanted]
        return answers


def _subjects(model: Model, tested: pd.DataFrame) -> NDArray[np.int64] | None:
    """Return (N,) the subject of each volume by its number, None for a model alone."""
    return pd.factorize(tested["subject"])[0] if model.together else None


def compare(
    brain: Floats, control: Floats, block: NDArray[np.int64], subject: NDArray[np.int64] | None
) -> dict[str, Any]:
    """Return the columns of `against_controls` for how right both are in each volume, (N,), in these blocks (N,).

    `subject` (N,) are the numbers of the subjects of models that stand together, None for a model alone. All values are
    unknown where the control lacks a volume (nan).
    """
    difference = brain - control
    if np.isnan(difference).any():
        names = ("control_accuracy", "difference", "difference_low", "difference_high", "p_blocks", "p_subjects")
        return {**dict.fromkeys(names, np.nan), "beats": pd.NA}
    found = exceeding.over_blocks(difference, block)
    p_blocks, p_subjects = found.p, float("nan")
    if subject is not None:
        # Python's max keeps its first value where the second is nan.
        p_blocks = max(p_blocks, exceeding.by_exchange(brain, control, block, subject))
        p_subjects = exceeding.over_subjects(np.bincount(subject, difference) / np.bincount(subject))
    return {
        "control_accuracy": control.mean(),
        "difference": found.mean,
        "difference_low": found.low,
        "difference_high": found.high,
        "p_blocks": p_blocks,
        "p_subjects": p_subjects,
        "beats": p_blocks <= LEVEL and not p_subjects > LEVEL,
    }
