"""Permutes labels: the same labels in the same stretches, but no longer with the volumes that they belong to.

Neighbouring volumes are similar and so are their labels: shuffling volumes one by one would make labels that no movie
has, and any decoder that finds slow changes would beat them. Both permutations here keep stretches of equal labels.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deepemotion.samples.movie_blocks import moment_positions
from deepemotion.samples.samples import SampleTable
from deepemotion.settings.schema import DataSettings

Rows = NDArray[np.int64]

# The least distance of a circular shift, in labelled volumes: 20 s at a TR of 2 s, beyond which the haemodynamic
# response to a moment is over. For shorter runs it is a quarter of their length.
LEAST_SHIFT = 10


def permuted(table: SampleTable, settings: DataSettings) -> SampleTable:
    """Return the table with its labels permuted as `settings.permutation` and `settings.permute` say; 0 keeps them."""
    if settings.permutation == 0:
        return table
    chosen = order(table, settings)
    # Observers were compared with the true label.
    return replace(table, label=table.label[chosen], soft=table.soft[chosen], observers=None)


def order(table: SampleTable, settings: DataSettings) -> Rows:
    """Return (N,) such that volume i gets the label of volume `order[i]`, and with it all that belongs to the label.

    Labels stay within their run. One moment of a run gets one new label in all subjects, so that pooled trainings are
    permuted as single-subject ones. Where a subject has all labelled moments that any subject has of a run, its own
    rows are permuted and its class counts stay exactly the same; where it lacks some (a run that ended early), the
    new labels are those that its moments have in the other subjects. `settings.permutation` 0 keeps all labels.
    """
    result = np.arange(len(table), dtype=np.int64)
    if settings.permutation == 0:
        return result
    position = moment_positions(table.run, table.movie_time)
    for run in np.unique(table.run):
        rows = np.flatnonzero(table.run == run)
        first = np.zeros(position[rows].max() + 1, dtype=np.int64)
        first[position[rows][::-1]] = rows[::-1]
        # The run is part of the seed: it must not matter which other runs and subjects a training has.
        generator = np.random.default_rng([settings.permutation, int(run)])
        if settings.permute == "shift":
            source = _shifted(len(first), generator)
        else:
            source = _shuffled_blocks(table.label[first], generator)
        for subject in np.unique(table.subject[rows]):
            own = rows[table.subject[rows] == subject]
            row_of = first.copy()
            row_of[position[own]] = own
            result[own] = row_of[source[position[own]]]
    return result


def _shifted(length: int, generator: np.random.Generator) -> Rows:
    """Return the source (L,) of each place under a random circular shift; a single place has only itself."""
    places = np.arange(length, dtype=np.int64)
    if length < 2:
        return places
    least = max(1, min(LEAST_SHIFT, length // 4))
    return np.roll(places, generator.integers(least, length - least, endpoint=True))


def _shuffled_blocks(label: NDArray[np.int64], generator: np.random.Generator) -> Rows:
    """Return the source (L,) of each place when the blocks of equal labels are put in random order."""
    blocks = np.split(np.arange(len(label), dtype=np.int64), np.flatnonzero(np.diff(label)) + 1)
    return np.concatenate([blocks[i] for i in generator.permutation(len(blocks))])
