"""The maps of a model on true and on permuted labels, each the mean over its folds and seeds, in one space."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.machine import available_memory
from deepemotion.scoring.cluster_test import Maps
from deepemotion.subject_file.format import AFFINE_TOLERANCE
from deepemotion.trained.stored_maps import StoredMaps
from launcher.evidence.mapped_models import MappedModel

# The share of the available memory that maps may take; more than that is kept in a file.
_MOST_MEMORY = 0.5


class ModelMaps:
    """The maps of one model.

    `mask` (X, Y, Z) has the voxels that all of its members have, `affine` (4, 4) takes them to mm.
    """

    def __init__(self, model: MappedModel, stored: Mapping[str, StoredMaps]) -> None:
        """Find the common space. Raises UserError where members have different grids, or share no voxel."""
        self._model, self._stored = model, stored
        of_members = [stored[model.trials[member, 0][0]] for member in model.members]
        first = of_members[0]
        self.mask, self.affine = first.mask.copy(), first.affine
        for member, other in zip(model.members, of_members, strict=True):
            if other.mask.shape != first.mask.shape or not np.allclose(
                other.affine, first.affine, rtol=0, atol=AFFINE_TOLERANCE
            ):
                raise UserError(
                    f"{model.name}: a mean map needs one grid, and {member} has another than {model.members[0]}; align"
                    f" and pack subjects alike, or test one at a time with --model {member}"
                )
            self.mask &= other.mask
        if not self.mask.any():
            raise UserError(f"{model.name}: a mean map needs voxels that all subjects have, and their masks share none")

    @cached_property
    def emotions(self) -> list[str]:
        """The emotions that all members have a map of on true labels."""
        names = dict.fromkeys(
            emotion
            for trial in self._model.trials[self._model.members[0], 0]
            for emotion in self._stored[trial].volumes
        )
        return [name for name in names if 0 in self.permutations(name)]

    def permutations(self, emotion: str) -> list[int]:
        """Return the permutations in which each member has a map of the emotion; 0 are the true labels."""
        return [
            permutation
            for permutation in self._model.permutations
            if all(self._parts(member, permutation, emotion) for member in self._model.members)
        ]

    @contextmanager
    def of(self, emotion: str, folder: Path) -> Iterator[Maps]:
        """Yield the maps (S, K, V) of members and `permutations`, in memory, or for many of them in a file of `folder`.

        A map is the mean over the volumes of all folds and seeds.
        """
        permutations = self.permutations(emotion)
        shape = (len(self._model.members), len(permutations), int(np.count_nonzero(self.mask)))
        size = 4 * shape[0] * shape[1] * shape[2]
        with tempfile.TemporaryFile(dir=folder) as file:
            if size <= _MOST_MEMORY * available_memory():
                maps_SKV = np.empty(shape, np.float32)
            else:
                # A disk that is too small is found here, and not when a page is written.
                os.posix_fallocate(file.fileno(), 0, size)
                maps_SKV = np.memmap(file, np.float32, "r+", shape=shape)
            for maps_KV, member in zip(maps_SKV, self._model.members, strict=True):
                for row, permutation in enumerate(permutations):
                    maps_KV[row] = self._mean(member, permutation, emotion)
            yield maps_SKV

    def _parts(self, member: str, permutation: int, emotion: str) -> list[StoredMaps]:
        trials = (self._stored[name] for name in self._model.trials[member, permutation])
        return [maps for maps in trials if emotion in maps.volumes]

    def _mean(self, member: str, permutation: int, emotion: str) -> NDArray[np.float64]:
        parts = self._parts(member, permutation, emotion)
        total = np.zeros(np.count_nonzero(self.mask))
        for maps in parts:
            total += maps.volumes[emotion] * maps.map_of(emotion)[self.mask[maps.mask]]
        return total / sum(maps.volumes[emotion] for maps in parts)
