"""The models of a run that are scored: their trials, and the volumes that these were tested on.

Folds and seeds of a model are pooled before anything is averaged over classes, because a fold may lack some.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from launcher.planning.training_sets import HELD_OUT_FOLD, LEFT_OUT, SINGLE
from launcher.tables.held_out import SPLITS, HeldOutPredictions
from launcher.tables.selection import KEYS, Trials

ALL_SINGLE = "all single-subject"
# Models that together answer one question about all subjects, by what their names begin with.
TOGETHER = {SINGLE: ALL_SINGLE, LEFT_OUT: "all left-out subjects", HELD_OUT_FOLD: "all held-out folds"}

# The positions of a trial's volumes of a split among the predictions on true labels.
Volumes = Mapping[tuple[str, str], NDArray[np.int64]]


@dataclass(frozen=True)
class Model:
    """One model on one split, or models of a kind together.

    `place` tells it apart (`KEYS` and split). `trials` are its latest; `scored` are those on true labels that have
    volumes of the split, in `rows` of the predictions on true labels. Both have a column `member`: the training set of
    each trial, where models stand together.
    """

    place: dict[str, Any]
    trials: pd.DataFrame
    scored: pd.DataFrame
    rows: NDArray[np.int64]

    @property
    def split(self) -> str:
        """The split of the volumes."""
        return str(self.place["split"])

    @property
    def together(self) -> bool:
        """Whether it stands for models of a kind."""
        return self.place["training_set"] in TOGETHER.values()


def volumes_of(held_out: HeldOutPredictions) -> Volumes:
    """Return where the volumes of each trial and split are."""
    return cast(Volumes, held_out.true.groupby(["trial", "split"], observed=True).indices)


def tested_models(trials: Trials, volumes: Volumes) -> Iterator[Model]:
    """Yield every model and split that has predictions on true labels.

    Training sets `all single-subject`, `all left-out subjects` and `all held-out folds` stand for these models
    together: on validation volumes, the others on their unseen subjects.
    """
    planned = trials.latest.table
    planned = planned.assign(member=planned["training_set"])
    for prefix, together in TOGETHER.items():
        models = planned[planned["member"].str.startswith(prefix)]
        if len(models):
            planned = pd.concat([planned, models.assign(training_set=together)], ignore_index=True)
    only = {name: "validation" if name == ALL_SINGLE else "unseen" for name in TOGETHER.values()}
    for key, group in planned.groupby(KEYS, sort=False):
        if key[0] in TOGETHER.values() and group["member"].nunique() == 1:
            continue
        true = Trials(group).done.true_labels.table
        for split in SPLITS:
            if only.get(str(key[0]), split) != split:
                continue
            # A fold may have no volume of this split: one whose unseen subject lacks that run.
            scored = true[[(name, split) in volumes for name in true["trial"]]]
            if len(scored):
                rows = np.concatenate([volumes[name, split] for name in scored["trial"]])
                yield Model({**dict(zip(KEYS, key, strict=True)), "split": split}, group, scored, rows)
