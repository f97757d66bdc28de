"""The loss of a training: cross-entropy with the label or with the observers' shares, classes weighted or not."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepemotion.errors import UserError
from deepemotion.samples.samples import SampleTable
from deepemotion.settings.schema import TrainSettings


class Loss:
    """The mean over a batch of - sum_c w_c t_c log p_c, with p the softmax of the logits, in nats.

    The target t of a volume is its label (`cross-entropy`), or the share of observers that gave each class (`soft`).
    Shares are divided by their sum, which is below 1 if observers were silent or gave an emotion outside the classes,
    and above 1 if one gave several: every volume has the same weight, and the target is the distribution over the
    named classes. `balanced` weights are those of the function `balanced`. They are not normalised again within a
    batch, where a rare class would count less the more volumes of it the batch holds.
    """

    def __init__(
        self, table: SampleTable, training: NDArray[np.int64], settings: TrainSettings, device: torch.device
    ) -> None:
        """Prepare the targets of all volumes of `table`; weights come from the rows `training` alone.

        Raises UserError for a training volume without a share in any class, if shares are the target.
        """
        self.label_N = torch.from_numpy(table.label).to(device)
        self._target = self.label_N
        if settings.loss == "cross-entropy" and settings.class_weights == "none":
            return
        target_NC = _shares(table, training) if settings.loss == "soft" else _one_hot(table)
        if settings.class_weights == "balanced":
            target_NC = target_NC * balanced(target_NC[training])
        self._target = torch.from_numpy(target_NC.astype(np.float32)).to(device)

    def __call__(self, logits_BC: Tensor, rows_B: Tensor) -> Tensor:
        """Return the mean loss, a scalar, of the volumes `rows_B` of the table."""
        return nn.functional.cross_entropy(logits_BC, self._target[rows_B])


def balanced(target_NC: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return weights (C,) that make all classes count equally: n / (C * n_c), n_c the sum of the class's targets.

    For labels, n_c is the number of the class's volumes, and the weights are scikit-learn's (`class_weight="balanced"`,
    after King & Zeng 2001). A class that does not occur gets 0.
    """
    of_class_C = target_NC.sum(axis=0, dtype=np.float64)
    weight_C = np.zeros(len(of_class_C))
    np.divide(of_class_C.sum(), len(of_class_C) * of_class_C, out=weight_C, where=of_class_C > 0)
    return weight_C


def _one_hot(table: SampleTable) -> NDArray[np.float64]:
    return np.eye(table.soft.shape[1])[table.label]


def _shares(table: SampleTable, training: NDArray[np.int64]) -> NDArray[np.float64]:
    total_N1 = table.soft.sum(axis=1, keepdims=True, dtype=np.float64)
    silent = training[total_N1[training, 0] == 0]
    if len(silent):
        raise UserError(
            f"train.loss=soft: sub-{table.subject[silent[0]]}'s volume at movie time {table.movie_time[silent[0]]:g} s"
            " has a label, but no observer's share in any class; make labels.tsv again with `deepemotion label`"
        )
    share_NC = np.zeros(table.soft.shape)
    np.divide(table.soft, total_N1, out=share_NC, where=total_N1 > 0)
    return share_NC
