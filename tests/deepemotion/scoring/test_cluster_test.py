"""Clusters of maps, against simulated maps whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from deepemotion.scoring.cluster_test import ClusterTest, equally_weighted, find_clusters

SHAPE = (10, 12, 8)
MASK = np.ones(SHAPE, bool)
MASK[:2, :3] = False


def smooth_noise(seed, subjects, permutations):
    """Return maps (S, K, V) of noise that is alike in neighbouring voxels."""
    noise = np.random.default_rng(seed).standard_normal((subjects, permutations, *SHAPE), np.float32)
    return gaussian_filter(noise, (0, 0, 1.2, 1.2, 1.2))[:, :, MASK]


def blob():
    """Return a ball (X, Y, Z) of 33 voxels around 6, 7, 3."""
    away = np.sum((np.stack(np.indices(SHAPE), axis=-1) - [6, 7, 3]) ** 2, axis=-1)
    return away <= 4


# The last one has a threshold that a single draw may exceed, where it matters if a map is among the draws.
@pytest.mark.parametrize(("subjects", "shared", "voxel_p"), [(1, 0.0, 0.05), (5, 0.0, 0.05), (5, 0.5, 0.005)])
def test_noise_has_a_significant_cluster_as_seldom_as_promised(subjects, shared, voxel_p):
    test = ClusterTest(voxel_p, cluster_p=0.2, draws=200)
    hits = 0
    for seed in range(60):
        own, of_film = smooth_noise(seed, subjects, 20), smooth_noise(seed + 1000, 1, 20)
        maps = np.sqrt(1 - shared) * own + np.sqrt(shared) * of_film
        hits += find_clusters(maps, MASK, test).significant.any()
    # Of 60 at 0.2; fewer or more than these in one of a thousand cases.
    assert 3 <= hits <= 23


@pytest.mark.parametrize(("subjects", "permutations"), [(1, 60), (6, 25)])
def test_a_planted_blob_is_the_only_significant_cluster(subjects, permutations):
    maps = smooth_noise(0, subjects, permutations)
    maps[:, 0] += 1.5 * blob()[MASK]
    found = find_clusters(maps, MASK, ClusterTest(voxel_p=0.02, draws=500))
    assert found.significant.tolist() == [True] + [False] * (len(found.size) - 1)
    inside = blob()[MASK]
    assert (found.corrected[inside] > 0).mean() > 0.9
    assert ((found.corrected != 0) & ~inside).sum() < 15
    np.testing.assert_allclose(found.observed, maps[:, 0].mean(axis=0), atol=1e-5)
    assert found.p[inside].max() < 0.05


def test_the_tests_of_subjects_apart_are_misled_by_what_a_film_makes_alike_and_that_of_all_together_is_not():
    by_sizes = family_wise = 0
    for seed in range(25):
        maps = 0.7 * smooth_noise(seed, 6, 20) + 0.7 * smooth_noise(seed + 1000, 1, 20)
        found = find_clusters(maps, MASK, ClusterTest(voxel_p=0.01, draws=300))
        by_sizes += (found.fdr_p <= 0.05).any()
        family_wise += (found.fwe_p <= 0.05).any()
    assert by_sizes > 10
    assert family_wise <= 5


def test_every_p_is_that_of_its_definition():
    maps = np.round(4 * smooth_noise(3, 1, 20)).astype(np.float32)
    found = find_clusters(maps, MASK, ClusterTest(voxel_p=0.1, cluster_p=0.1))
    of_voxels = (maps[0] >= maps[0, 0]).mean(axis=0)
    np.testing.assert_allclose(found.p, of_voxels)
    # A voxel is in a cluster if its p is small enough, ties included.
    np.testing.assert_array_equal(found.cluster > 0, of_voxels <= 0.1)
    np.testing.assert_array_equal(np.bincount(found.cluster)[1:], found.size)
    assert (np.diff(found.size) <= 0).all()
    assert ((found.fwe_p * 20) % 1 < 1e-9).all()
    assert (found.cluster_p > 0).all()
    assert (found.fdr_p >= found.cluster_p).all()


def test_blocks_of_voxels_give_what_all_voxels_at_once_give(monkeypatch):
    maps = smooth_noise(1, 3, 20)
    whole = find_clusters(maps, MASK, ClusterTest(voxel_p=0.05, draws=50))
    monkeypatch.setattr("deepemotion.scoring.cluster_test._VALUES_AT_A_TIME", 1000)
    parts = find_clusters(maps, MASK, ClusterTest(voxel_p=0.05, draws=50))
    for name in ("observed", "p", "cluster", "size", "fwe_p"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_voxels_that_share_an_edge_only_are_two_clusters():
    maps = np.zeros((1, 20, np.count_nonzero(MASK)), np.float32)
    volume = np.zeros(SHAPE, np.float32)
    volume[5, 5, 5] = volume[5, 6, 6] = volume[5, 6, 7] = 1
    maps[0, 0] = volume[MASK]
    found = find_clusters(maps, MASK, ClusterTest(voxel_p=0.05))
    assert found.size.tolist() == [2, 1]


def test_a_map_without_a_voxel_beyond_chance_has_no_cluster():
    found = find_clusters(np.zeros((2, 20, np.count_nonzero(MASK)), np.float32), MASK, ClusterTest())
    assert len(found.size) == 0
    assert not found.corrected.any()
    assert (found.p == 1).all()


@pytest.mark.parametrize(
    ("subjects", "permutations", "test", "said"),
    [
        (1, 100, ClusterTest(), "a voxel's p cannot fall below 0.0099; a threshold of 0.001 needs 999"),
        (1, 10, ClusterTest(voxel_p=0.1), "a cluster's p cannot fall below 0.091; a threshold of 0.05 needs 19"),
        (8, 18, ClusterTest(), "a cluster's p cannot fall below 0.053; a threshold of 0.05 needs 19"),
        (8, 100, ClusterTest(draws=100), "100 draws: a voxel's threshold of 0.001 needs 999"),
        (1, 999, ClusterTest(), ""),
        (8, 19, ClusterTest(), ""),
    ],
)
def test_too_few_permutations_are_named_with_how_many_are_needed(subjects, permutations, test, said):
    assert said in test.problem(subjects, permutations)
    assert bool(said) == bool(test.problem(subjects, permutations))
    if said:
        with pytest.raises(ValueError, match="needs"):
            find_clusters(np.zeros((subjects, permutations + 1, np.count_nonzero(MASK)), np.float32), MASK, test)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 100), st.integers(0, 100))
def test_no_subject_counts_more_for_having_larger_maps(factor, seed):
    maps = smooth_noise(seed, 2, 4)
    expected = maps.copy()
    maps[1] *= np.float32(factor)
    equally_weighted(maps)
    equally_weighted(expected)
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.square(maps).mean(axis=(1, 2)), 1, rtol=1e-4)
