"""Simulates a run as a scanner would record it: anatomy, response, noise, drift and the run's baseline."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from deepemotion.simulation import brain

# Percent of the mean intensity. At 1.5 % the temporal signal-to-noise ratio is about 65, usual for 7T at 1.4 mm.
NOISE_PERCENT = 0.8
DRIFT_PERCENT = 0.7
BASELINE_SD = 0.03
AUTOCORRELATION = 0.4
SMOOTHNESS_VOXELS = 1.0
THERMAL = 25.0  # intensity units, which alone is visible outside the head
INT16_MAX = 32_767


def volumes(
    rng: np.random.Generator,
    anatomy: brain.Volume,
    networks: brain.Volume,
    responses: NDArray[np.float32],
    signal: float,
) -> Iterator[NDArray[np.int16]]:
    """Yield the run's volumes (X, Y, Z), one at a time: memory does not grow with the length of the run.

    `anatomy` is (X, Y, Z), `networks` (E, X, Y, Z), `responses` (T, E); `signal` is in percent.
    """
    shape = anatomy.shape
    baseline = anatomy * np.float32(rng.normal(1, BASELINE_SD))
    drifts = DRIFT_PERCENT * np.stack([brain.texture(rng, shape, grain=0.2) for _ in range(2)])
    components = np.concatenate([networks, drifts.astype(np.float32)])
    weights = np.concatenate([signal * responses, _drift_courses(len(responses))], axis=1).astype(np.float32)
    noise = smooth_noise(rng, shape)
    state = next(noise)
    for weight in weights:
        innovation = next(noise)
        state = AUTOCORRELATION * state + np.float32(np.sqrt(1 - AUTOCORRELATION**2)) * innovation
        # einsum, not BLAS: its sums do not depend on the number of threads, so the bits are always the same.
        percent = np.einsum("k,kxyz->xyz", weight, components) + NOISE_PERCENT * state
        volume = baseline * (1 + percent / 100) + THERMAL * innovation
        yield np.clip(np.rint(volume), 0, INT16_MAX).astype(np.int16)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Iterator[brain.Volume]:
    """Yield spatially smooth fields (X, Y, Z) of standard deviation 1, independent of each other."""
    impulse = np.zeros(shape, dtype=np.float32)
    impulse[0, 0, 0] = 1
    scale = np.float32(1 / np.linalg.norm(_smooth(impulse)))
    while True:
        yield scale * _smooth(rng.standard_normal(shape, dtype=np.float32))


def _smooth(field: brain.Volume) -> brain.Volume:
    # Wrapping around keeps the variance the same in every voxel.
    return np.asarray(gaussian_filter(field, SMOOTHNESS_VOXELS, mode="wrap", truncate=2.5), dtype=np.float32)


def _drift_courses(count: int) -> NDArray[np.float64]:
    """Return a line and half a cosine (T, 2) over the run, both from about -1 to 1."""
    time = np.linspace(-1, 1, count)
    return np.stack([time, np.cos(np.pi * time)], axis=1)
