"""Which clusters of voxels of a map are larger than chance, from maps of trainings on permuted labels.

Follows Stelzer, Chen & Turner (2013, NeuroImage 65:69-82), with the true labels as one of the permutations.

Shape suffixes: S subjects (1 for a single model), K permutations of which number 0 are the true labels, V voxels of the
mask in the order of `volume[mask]`, M maps, C clusters.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from deepemotion.scoring.hypothesis_tests import benjamini_hochberg

Correction = Literal["fwe", "fdr"]
Maps = NDArray[np.float32]
Floats = NDArray[np.float64]

# Values of maps that are held at once, 4 bytes each.
_VALUES_AT_A_TIME = 2**21
# Products such as 0.29 * 100 come out just below the whole number that they are.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class ClusterTest:
    """How clusters are tested.

    `voxel_p` is the largest p of a voxel that forms a cluster, `cluster_p` that of a significant cluster after the
    `correction`: `fwe`, or `fdr` over the clusters of the map. `draws` is the number of group maps that are drawn.
    """

    voxel_p: float = 0.001
    cluster_p: float = 0.05
    correction: Correction = "fwe"
    draws: int = 10_000

    def problem(self, subjects: int, permutations: int) -> str:
        """Return why there are too few permutations (besides the true labels) or draws for these thresholds, or ""."""
        smallest = self.cluster_p if subjects > 1 else min(self.voxel_p, self.cluster_p)
        needed, of_voxels = _least_count(smallest), _least_count(self.voxel_p)
        if permutations < needed:
            of_what = "a cluster's" if smallest == self.cluster_p else "a voxel's"
            return (
                f"{permutations} permutations: {of_what} p cannot fall below {1 / (permutations + 1):.2g};"
                f" a threshold of {smallest:g} needs {needed}"
            )
        if subjects > 1 and self.draws < of_voxels:
            return f"{self.draws} draws: a voxel's threshold of {self.voxel_p:g} needs {of_voxels}"
        return ""


@dataclass(frozen=True)
class FoundClusters:
    """A map and its clusters.

    `observed` (V,) and its voxelwise `p` (V,). `cluster` (V,) numbers the clusters from 1, the largest first, and is 0
    elsewhere. For each cluster (C,): its `size` in voxels, its p by the sizes of all chance clusters, that corrected
    by the false discovery rate over the map's clusters, its family-wise p by each permutation's largest cluster.
    """

    observed: Maps
    p: Floats
    cluster: NDArray[np.int64]
    size: NDArray[np.int64]
    cluster_p: Floats
    fdr_p: Floats
    fwe_p: Floats
    significant: NDArray[np.bool_]

    @property
    def corrected(self) -> Maps:
        """(V,): the map in significant clusters, 0 elsewhere."""
        kept = np.concatenate([[False], self.significant])[self.cluster]
        return np.where(kept, self.observed, np.float32(0))


def find_clusters(maps_SKV: Maps, mask: NDArray[np.bool_], test: ClusterTest, seed: int = 0) -> FoundClusters:
    """Return which clusters of the mean map over subjects on true labels are larger than by chance; one-sided.

    `mask` is (X, Y, Z). A voxel belongs to a cluster if its p is at most `test.voxel_p`; p is the share of maps with at
    least its value, among group maps that are drawn: one permutation for each subject, independently. For one subject
    these are its permutations themselves. Clusters are connected through faces.

    The p of a cluster is the share of clusters that are at least as large among those of all drawn maps; it takes
    subjects to be independent. The family-wise p is the share of permutations whose largest cluster is at least as
    large, each one permutation for all subjects: it also holds where subjects are alike because they saw one film. The
    true labels count as a permutation in both, so no p is 0 (Phipson & Smyth 2010, Stat Appl Genet Mol Biol 9:39).

    Raises ValueError where there are too few permutations for the thresholds.
    """
    subjects, permutations, voxels = maps_SKV.shape
    if test.problem(subjects, permutations - 1):
        raise ValueError(test.problem(subjects, permutations - 1))
    together_KS = np.repeat(np.arange(permutations)[:, None], subjects, axis=1)
    drawn_MS = together_KS
    if subjects > 1:
        drawn_MS = np.random.default_rng(seed).integers(permutations, size=(test.draws, subjects))
    observed, p, drawn, together = _voxelwise(maps_SKV, drawn_MS, together_KS, test.voxel_p)
    cluster, size = _labelled(together[0], voxels, mask)
    of_permutations = [_labelled(bits, voxels, mask)[1] for bits in together[1:]]
    chance = of_permutations if subjects == 1 else [_labelled(bits, voxels, mask)[1] for bits in drawn]
    largest = np.array([sizes[0] if len(sizes) else 0 for sizes in of_permutations])
    cluster_p = _share_at_least(np.concatenate(chance), size)
    fdr_p, fwe_p = benjamini_hochberg(cluster_p), _share_at_least(largest, size)
    significant = (fdr_p if test.correction == "fdr" else fwe_p) <= test.cluster_p
    return FoundClusters(observed, p, cluster, size, cluster_p, fdr_p, fwe_p, significant)


def equally_weighted(maps_SKV: Maps) -> None:
    """Divide each subject's maps by their root mean square, in place, so that no subject dominates the mean.

    One number for all of a subject's permutations leaves them exchangeable. A subject whose maps are 0 stays so.
    """
    for maps_KV in maps_SKV:
        squares = sum(float(np.square(map_V, dtype=np.float64).sum()) for map_V in maps_KV)
        maps_KV /= np.float32(math.sqrt(squares / maps_KV.size) or 1.0)


def _voxelwise(
    maps_SKV: Maps, drawn_MS: NDArray[np.int64], together_KS: NDArray[np.int64], voxel_p: float
) -> tuple[Maps, Floats, NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the map on true labels, its p, and of each map the voxels whose p is small enough, as bits (..., V / 8).

    These are first of the drawn maps, then of those of each permutation. A block of voxels is done at a time: all maps
    would take hundreds of times the memory of what they are drawn from.
    """
    voxels, single = maps_SKV.shape[2], len(maps_SKV) == 1
    observed, p = np.empty(voxels, np.float32), np.empty(voxels)
    bits = [np.empty((len(chosen), -(-voxels // 8)), np.uint8) for chosen in (drawn_MS, together_KS)]
    # The map itself counts among those that have at least its value: it is one of them, or one more.
    count = len(drawn_MS) + (0 if single else 1)
    rank = math.floor(voxel_p * count + _ROUNDING)
    step = max(8, _VALUES_AT_A_TIME // len(drawn_MS) // 8 * 8)
    for first in range(0, voxels, step):
        block, bytes_ = slice(first, first + step), slice(first // 8, (first + step) // 8)
        maps_SKB = np.ascontiguousarray(maps_SKV[:, :, block])
        drawn_MB, together_KB = _means(maps_SKB, drawn_MS), _means(maps_SKB, together_KS)
        observed[block] = together_KB[0]
        p[block] = ((drawn_MB >= together_KB[0]).sum(axis=0) + (0 if single else 1)) / count
        # Voxels exceed it whose p is small enough; a value that is tied with it has a p that is not.
        ends = len(drawn_MB) - rank - 1, len(drawn_MB) - rank
        among = np.partition(drawn_MB, ends, axis=0)[ends[0] : ends[1] + 1]
        bits[0][:, bytes_] = np.packbits(drawn_MB > among[0], axis=1)
        bits[1][:, bytes_] = np.packbits(together_KB > among[0 if single else 1], axis=1)
    return observed, p, bits[0], bits[1]


def _means(maps_SKB: Maps, chosen_MS: NDArray[np.int64]) -> Maps:
    """Return the mean maps (M, B) of one permutation for each subject."""
    total: Maps = maps_SKB[0][chosen_MS[:, 0]]
    for maps_KB, chosen_M in zip(maps_SKB[1:], chosen_MS.T[1:], strict=True):
        total += maps_KB[chosen_M]
    total /= np.float32(len(maps_SKB))
    return total


def _labelled(
    bits: NDArray[np.uint8], voxels: int, mask: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the cluster (V,) of each voxel, and their sizes, the largest first."""
    volume = np.zeros(mask.shape, np.bool_)
    volume[mask] = np.unpackbits(bits, count=voxels)
    # Without a structure, neighbours are those that share a face.
    labelled, _ = ndimage.label(volume)
    number = labelled[mask]
    size = np.bincount(number)[1:]
    order = np.argsort(-size, kind="stable")
    rank = np.zeros(len(size) + 1, np.int64)
    rank[order + 1] = np.arange(1, len(size) + 1)
    return rank[number], size[order]


def _share_at_least(chance: NDArray[np.int64], size: NDArray[np.int64]) -> Floats:
    """Return for each size the share of chance sizes that are at least as large, with one more for the truth itself."""
    ranked = np.sort(chance)
    return (1 + len(ranked) - np.searchsorted(ranked, size, side="left")) / (1 + len(ranked))


def _least_count(p: float) -> int:
    """Return how many permutations a p needs at least, so that (1 + 0) / (1 + n) is no larger."""
    return math.ceil(1 / p - _ROUNDING) - 1
