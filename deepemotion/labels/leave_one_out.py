"""How well each observer agrees with the label that the others give: what the observers' ceiling is made of."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The names of an ObserverScores' parts in labels.tsv and in tables of predictions.
COLUMNS = ("observers_compared", "observers_right")


@dataclass(frozen=True)
class ObserverScores:
    """At each of N movie times, how many observers could be compared with the others, and how many of them were right.

    `right` may be a fraction: an observer who gave several emotions is right by one over their number.
    """

    compared: NDArray[np.int64]
    """(N,) observers that gave an emotion where the others decided the label without them."""
    right: NDArray[np.float64]
    """(N,) how many of those gave that label, from 0 to `compared`."""


def score_observers(gave_class: NDArray[np.bool_], needed: int) -> ObserverScores:
    """Compare what each observer gave with the label that the other observers decide (leave one observer out).

    `gave_class` (O, N, C) says whether observer o gave class c at movie time n, and `needed` how many votes the label
    rule asks for. The others decide where their most frequent class has at least `needed` votes and leads the next one
    by two or more. The label is then the same whatever the observer who is left out gives, under either rule for ties,
    so that having this label says nothing about that observer: those who answer at random are right as often as chance.
    (Where a label hangs on one vote, that vote is right by construction, and to count it would flatter the observers.)

    Observers who gave no emotion at a time are not compared there. One who gave m emotions counts as one of them drawn
    at random: 1/m if the label is among them, otherwise 0. With too few observers for a decision, nobody is compared.
    """
    counts_NC = gave_class.sum(axis=0)
    times = np.arange(len(counts_NC))
    compared, right = np.zeros(len(counts_NC), np.int64), np.zeros(len(counts_NC))
    for own_NC in gave_class:
        others_NC = counts_NC - own_NC
        label = others_NC.argmax(axis=1)
        votes = others_NC[times, label]
        others_NC[times, label] = 0
        given = own_NC.sum(axis=1)
        valid = (votes >= needed) & (votes >= others_NC.max(axis=1) + 2) & (given > 0)
        compared += valid
        right += np.where(valid, own_NC[times, label] / np.maximum(given, 1), 0.0)
    return ObserverScores(compared, right)
