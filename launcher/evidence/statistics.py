"""Each model's scores with their intervals, permutation p-values and corrections, from the two tables of a run."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepemotion.samples.movie_blocks import label_blocks
from deepemotion.scoring import audit, hypothesis_tests, metrics
from deepemotion.scoring.metrics import Tally
from launcher.evidence.ceiling import ceiling_columns
from launcher.evidence.models import tested_models, volumes_of
from launcher.tables.held_out import HeldOutPredictions
from launcher.tables.selection import KEYS, Trials

LEVEL = 0.05
# Rows that are alike in these are conditions to choose from. One whose settings inner folds chose is none of them.
ALTERNATIVES = ["training_set", "protocol", "split", "nested"]

_WITH_INTERVAL = ("accuracy", "balanced_accuracy", "macro_f1")
_TESTED = {"p": "accuracy", "p_balanced_accuracy": "balanced_accuracy"}


def score_table(trials: Trials, held_out: HeldOutPredictions) -> pd.DataFrame:
    """Return a row for each of the trials' `tested_models`: all of the brain, or all of controls.

    Columns (scores are in [0, 1]): training_set, condition, setup, protocol, split; nested, whether inner folds chose
    the settings; trials of how many planned (folds and seeds); n volumes in blocks of the movie; accuracy,
    balanced_accuracy, macro_f1, each with _low and _high (95 %); ece; brier; those of `ceiling.ceiling_columns`; what
    labels alone score, and beats_labels; permutations (those that have all folds and seeds), p and p_balanced_accuracy
    by them; p_conditions, p corrected for the choice among so many conditions; p_holm and p_bh, that corrected for the
    models of a kind, such as the single-subject ones. Without permutations all p are nan.
    """
    if not len(trials):
        return pd.DataFrame()
    confusions = held_out.confusions()
    rows: list[dict[str, Any]] = []
    permuted: list[pd.DataFrame] = []
    for model in tested_models(trials, volumes_of(held_out)):
        done, tested = Trials(model.trials).done, held_out.true.iloc[model.rows]
        counts = {"trials": len(done.true_labels), "planned": len(Trials(model.trials).true_labels)}
        place = {**model.place, "nested": bool((model.scored["chosen"] != "").all())}
        scores = _scores(tested, held_out)
        rows.append(place | counts | scores | _audit(model.scored, tested, model.split, scores["accuracy"]))
        permuted.append(_permuted_scores(done.table, model.scored, model.split, confusions))
    table = pd.DataFrame(rows)
    return table if table.empty else _tested(table, permuted)


def _scores(tested: pd.DataFrame, held_out: HeldOutPredictions) -> dict[str, float]:
    label, prediction = held_out.codes(tested["label"]), held_out.codes(tested["prediction"])
    # A class that a trial's labels did not have was given no probability.
    probability = tested[[f"p_{name}" for name in held_out.classes]].fillna(0).to_numpy()
    counts = metrics.tally(label, prediction, probability, len(held_out.classes))
    block = label_blocks(tested["run"].to_numpy(), tested["movie_time"].to_numpy(), label)
    sums, drawn = counts.total(), metrics.block_bootstrap(counts, block)
    result: dict[str, float] = {"n": len(tested), "blocks": len(np.unique(block))}
    for name, metric in metrics.METRICS.items():
        result[name] = float(metric(sums))
        if name in _WITH_INTERVAL:
            result[f"{name}_low"], result[f"{name}_high"] = metrics.interval(metric(drawn))
    return result | ceiling_columns(tested, label, prediction, block, held_out.classes)


def _audit(scored: pd.DataFrame, tested: pd.DataFrame, split: str, accuracy: float) -> dict[str, float | bool]:
    """Return the scores that need no brain data, over the same volumes as the accuracy, and if that exceeds them all.

    `scored` are the trials of these volumes. If one of the scores is unknown (nan), none counts as exceeded.
    """
    volumes = tested["trial"].value_counts()
    n = scored["trial"].map(dict(zip(volumes.index, volumes, strict=True)))
    result: dict[str, float | bool] = {}
    for name in audit.COLUMNS:
        column = audit.column(name, split)
        values = scored[column] if column in scored else pd.Series(np.nan, scored.index)
        result[name] = float((values * n).sum(skipna=False) / n.sum())
    result["beats_labels"] = audit.beats(accuracy, result.values())
    return result


def _permuted_scores(
    done: pd.DataFrame, scored: pd.DataFrame, split: str, confusions: dict[tuple[str, str], NDArray[np.float64]]
) -> pd.DataFrame:
    """Return what each permutation scores, columns as in `_TESTED`, of those with the truth's every fold and seed.

    `scored` are the trials on true labels that have volumes of this split, some of `done`.
    """
    if not (done["permutation"] > 0).any():
        return pd.DataFrame(columns=list(_TESTED), dtype=np.float64)
    places = pd.Series(list(zip(done["member"], done["fold"].fillna(0), done["seed"], strict=True)), done.index)
    needed = set(places[scored.index])
    scores = {}
    for k, rows in done[done["permutation"] > 0].groupby("permutation"):
        names = [name for name in rows.loc[places[rows.index].isin(needed), "trial"] if (name, split) in confusions]
        if len(names) == len(needed):
            confusion = np.sum([confusions[name, split] for name in names], axis=0)
            sums = Tally(confusion, np.zeros((metrics.BINS, 3)), np.array(np.nan))
            scores[k] = {column: float(metrics.METRICS[name](sums)) for column, name in _TESTED.items()}
    return pd.DataFrame.from_dict(scores, orient="index", columns=list(_TESTED))


def _tested(table: pd.DataFrame, permuted: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the table with its p-values, from the permutations' scores of each row."""
    table["permutations"] = [len(scores) for scores in permuted]
    for column, metric in _TESTED.items():
        pairs = zip(table[metric], permuted, strict=True)
        table[column] = [hypothesis_tests.permutation_p(score, scores[column].to_numpy()) for score, scores in pairs]
    for _, rows in table.groupby(ALTERNATIVES, sort=False):
        # The best of several conditions is held against the best of them under each permutation (the maximum
        # statistic of Westfall & Young 1993), so that having chosen costs what it should.
        best = pd.concat([permuted[i]["p"] for i in rows.index], axis=1, join="inner").max(axis=1).to_numpy()
        table.loc[rows.index, "conditions"] = len(rows)
        table.loc[rows.index, "p_conditions"] = [
            hypothesis_tests.permutation_p(score, best) for score in rows["accuracy"]
        ]
    kind = table["training_set"].str.extract(r"^(sub|without|held-out)-", expand=False).fillna(table["training_set"])
    for _, rows in table.groupby([*KEYS[1:], "split", kind], sort=False):
        p = rows["p_conditions"].to_numpy(dtype=np.float64)
        table.loc[rows.index, "p_holm"] = hypothesis_tests.holm(p)
        table.loc[rows.index, "p_bh"] = hypothesis_tests.benjamini_hochberg(p)
    return table.astype({"conditions": int})
