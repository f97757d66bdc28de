"""Common spaces from Gram matrices: known maps come back, and voxels would not have given another answer."""

import numpy as np
import pytest
import torch

from deepemotion.alignment.shared_response import ROUNDS, fit, leading, polar, template

VOXELS, MOMENTS, FEATURES, SUBJECTS = 90, 60, 4, 5


def orthonormal(rng, rows, columns):
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


def planted(seed=0, noise=0.02, voxels=VOXELS):
    """Return each subject's true basis (V, K), the true response (K, T) and each subject's data (V, T)."""
    rng = np.random.default_rng(seed)
    response = np.diag([4.0, 3.0, 2.0, 1.0]) @ rng.standard_normal((FEATURES, MOMENTS))
    bases = [orthonormal(rng, voxels, FEATURES) for _ in range(SUBJECTS)]
    data = [basis @ response + noise * rng.standard_normal((voxels, MOMENTS)) for basis in bases]
    return bases, response, data


def gram(x):
    return torch.from_numpy(x.T @ x)


def basis(method, template_KT, x):
    """Return the map (V, K) that the weights stand for."""
    return x @ fit(method, template_KT, gram(x)).numpy()


METHODS = pytest.mark.parametrize("method", ["srm", "procrustes"])


@METHODS
def test_known_maps_come_back_up_to_one_rotation_of_the_space(method):
    bases, _, data = planted()
    space = template(method, [gram(x) for x in data], FEATURES, VOXELS)
    rotations = [basis(method, space, x).T @ true for true, x in zip(bases, data, strict=True)]
    for rotation in rotations:
        np.testing.assert_allclose(rotation, rotations[0], atol=0.03)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(FEATURES), atol=0.03)


@METHODS
def test_a_subject_outside_the_template_gets_the_same_features(method):
    bases, _, data = planted(noise=0.05)
    space = template(method, [gram(x) for x in data[:-1]], FEATURES, VOXELS)
    new = np.random.default_rng(9).standard_normal((FEATURES, 20))
    features = [basis(method, space, x).T @ (true @ new) for true, x in zip(bases, data, strict=True)]
    for other in features[:-1]:
        np.testing.assert_allclose(features[-1], other, atol=0.2)
    assert np.linalg.norm(features[-1]) > 0.95 * np.linalg.norm(new)


@METHODS
@pytest.mark.parametrize("seed", range(3))
def test_maps_are_orthonormal(method, seed):
    _, _, data = planted(seed, noise=1.0)
    space = template(method, [gram(x) for x in data], FEATURES, VOXELS)
    for x in data:
        found = basis(method, space, x)
        np.testing.assert_allclose(found.T @ found, np.eye(FEATURES), atol=1e-8)


def test_the_polar_map_is_that_of_the_voxels():
    _, response, (x, *_) = planted(noise=0.5)
    left, _, right = np.linalg.svd(x @ response.T, full_matrices=False)
    np.testing.assert_allclose(x @ polar(torch.from_numpy(response), gram(x)).numpy(), left @ right, atol=1e-10)


def voxelwise_shared_response(data, start):
    """The same model by the text book: expectation maximisation on the voxels themselves."""
    response = start
    covariance = noise = None
    for _ in range(ROUNDS):
        maps = [left @ right for left, _, right in (np.linalg.svd(x @ response.T, full_matrices=False) for x in data)]
        if covariance is None:
            mean = np.mean([w.T @ x for w, x in zip(maps, data, strict=True)], axis=0)
            covariance = mean @ mean.T / MOMENTS
            noise = [np.mean(x**2) for x in data]
        else:
            spread = MOMENTS * np.trace(covariance) - np.sum(response**2)
            noise = [(np.sum((x - w @ response) ** 2) + spread) / x.size for w, x in zip(maps, data, strict=True)]
        posterior = np.linalg.inv(np.linalg.inv(covariance) + sum(1 / one for one in noise) * np.eye(FEATURES))
        response = posterior @ sum(w.T @ x / one for w, x, one in zip(maps, data, noise, strict=True))
        covariance = posterior + response @ response.T / MOMENTS
    return response


def test_the_shared_response_is_that_of_the_voxels():
    _, _, data = planted(noise=0.6)
    together = sum(x.T @ x / np.sum(x**2) for x in data)
    start = np.linalg.eigh(together)[1][:, ::-1][:, :FEATURES].T
    found = template("srm", [gram(x) for x in data], FEATURES, VOXELS).numpy()
    expected = voxelwise_shared_response(data, start)
    # The eigenvectors that both begin with have free signs, which turn the space, not what lies in it.
    np.testing.assert_allclose(found.T @ found, expected.T @ expected, atol=1e-7)


def test_a_noisy_subject_counts_less_in_the_shared_response():
    _, response, data = planted(noise=0.3)
    noisy = data[-1] + 8 * np.random.default_rng(5).standard_normal(data[-1].shape)
    clean = template("srm", [gram(x) for x in data[:-1]], FEATURES, VOXELS).numpy()
    mixed = template("srm", [gram(x) for x in [*data[:-1], noisy]], FEATURES, VOXELS).numpy()

    def explained(space):
        return np.sum((response @ np.linalg.pinv(space) @ space) ** 2) / np.sum(response**2)

    assert explained(mixed) > 0.98 * explained(clean) > 0.9


@METHODS
def test_data_of_a_lower_rank_than_the_features_give_finite_maps(method):
    _, _, data = planted(noise=0.0)
    spaces = template(method, [gram(x) for x in data], FEATURES + 2, VOXELS)
    for x in data:
        assert np.isfinite(basis(method, spaces, x)).all()


def test_leading_eigenvectors_are_the_largest_in_order():
    _, _, (x, *_) = planted(noise=1.0)
    values, vectors = leading(gram(x), 7)
    expected = np.linalg.eigvalsh(x.T @ x)[::-1][:7]
    np.testing.assert_allclose(values, expected)
    np.testing.assert_allclose(gram(x) @ vectors, vectors * values, atol=1e-8)
