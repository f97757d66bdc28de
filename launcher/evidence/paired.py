"""Whether one model of all subjects does better or worse on each subject than the subject's own model."""

from typing import Any

import numpy as np
import pandas as pd

from deepemotion.scoring import hypothesis_tests
from launcher.planning.training_sets import POOLED, SINGLE
from launcher.tables.held_out import HeldOutPredictions
from launcher.tables.selection import KEYS, Trials, of_kind

_PLACE = ["fold", "seed"]


def accuracy_by_subject(trials: Trials, held_out: HeldOutPredictions) -> pd.DataFrame:
    """Return the validation accuracy of each subject under its own model and under the pooled one.

    Columns condition, setup, protocol, subject, single, pooled, n (volumes, the same for both). Only folds and seeds
    that both have count.
    """
    done = trials.latest.done.true_labels.table
    tested = held_out.true[held_out.true["split"] == "validation"]
    right = tested["label"].astype(str) == tested["prediction"].astype(str)
    rows = pd.DataFrame(
        {"trial": tested["trial"].astype(str), "subject": tested["subject"].astype(str), "right": right}
    )
    rows = rows.groupby(["trial", "subject"])["right"].agg(["sum", "size"]).reset_index()
    rows = rows.merge(done[["trial", *KEYS, *_PLACE]], on="trial").fillna({"fold": 0})
    own = rows[rows["training_set"] == SINGLE + rows["subject"]]
    pooled = of_kind(rows, POOLED)
    both = own.merge(pooled, on=[*KEYS[1:], *_PLACE, "subject"], suffixes=("_own", "_pooled"))
    sums = both.groupby([*KEYS[1:], "subject"])[["sum_own", "size_own", "sum_pooled", "size_pooled"]].sum()
    accuracy = pd.DataFrame(
        {
            "single": sums["sum_own"] / sums["size_own"],
            "pooled": sums["sum_pooled"] / sums["size_pooled"],
            "n": sums["size_own"],
        }
    )
    return accuracy.reset_index()


def single_against_pooled(trials: Trials, held_out: HeldOutPredictions) -> pd.DataFrame:
    """Return one row per condition that has both kinds of models for at least two subjects.

    Columns condition, setup, protocol, subjects; single and pooled, mean accuracies over subjects; difference (pooled
    - single) with low and high (95 %, Student's t over subjects); p, two-sided, by flipping subjects' signs.
    """
    rows: list[dict[str, Any]] = []
    for key, subjects in accuracy_by_subject(trials, held_out).groupby(KEYS[1:], sort=False):
        if len(subjects) < 2:
            continue
        difference = (subjects["pooled"] - subjects["single"]).to_numpy(dtype=np.float64)
        low, high = hypothesis_tests.mean_interval(difference)
        rows.append(
            {
                **dict(zip(KEYS[1:], key, strict=True)),
                "subjects": len(subjects),
                "single": subjects["single"].mean(),
                "pooled": subjects["pooled"].mean(),
                "difference": difference.mean(),
                "low": low,
                "high": high,
                "p": hypothesis_tests.sign_flip_p(difference),
            }
        )
    return pd.DataFrame(rows)
