"""The simulated head in template space: its anatomy, its masks and the networks that respond to each emotion."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from deepemotion.simulation.parameters import Parameters, Stream
from deepemotion.simulation.story import EMOTIONS

Volume = NDArray[np.float32]

INTENSITY = 10_000.0
BACKGROUND = 100.0
# Centre and half axes of the brain's ellipsoid as fractions of the shape. The centre is high and the top is cut off, as
# in the real data, whose slices do not reach the top of the brain.
CENTRE = (0.5, 0.5, 0.7)
HALF_AXES = (0.42, 0.45, 0.66)

OWN_REGIONS = 4
REGION_SIZE = 0.1  # of the geometric mean of the sides
DISPLACEMENT_SIZES = 2.0  # a fully idiosyncratic region's shift, standard deviation per axis in region sizes
GAIN_SD = 0.5  # of the logarithm of a fully idiosyncratic region's gain


def radius(shape: tuple[int, ...]) -> Volume:
    """Return the elliptic radius (X, Y, Z) of each voxel: below 1 in the brain."""
    offsets = [
        ((np.arange(side, dtype=np.float32) + 0.5) / side - centre) / half_axis
        for side, centre, half_axis in zip(shape, CENTRE, HALF_AXES, strict=True)
    ]
    x, y, z = np.meshgrid(*offsets, indexing="ij")
    return np.sqrt(x**2 + y**2 + z**2)


def mask_limits(parameters: Parameters, subject: int) -> NDArray[np.float64]:
    """Return the radius (R,) that each run's mask reaches: masks of real runs differ a little at the edge."""
    return parameters.generator(Stream.SUBJECT, subject, 1).uniform(0.97, 1.0, size=len(parameters.run_volumes))


def anatomy(parameters: Parameters, subject: int) -> Volume:
    """Return the subject's mean image (X, Y, Z): bright tissue with structure, falling off to a dark background.

    Aligned subjects share most of the structure (the template's) and keep some of their own.
    """
    shared = texture(parameters.generator(Stream.TEMPLATE, 1), parameters.shape)
    own = texture(parameters.generator(Stream.SUBJECT, subject, 2), parameters.shape)
    tissue = INTENSITY * (1 + np.clip(0.07 * shared + 0.03 * own, -0.2, 0.2))
    edge = 1 / (1 + np.exp(np.minimum((radius(parameters.shape) - 1.02) / 0.015, 50)))
    return np.asarray(BACKGROUND + tissue * edge, dtype=np.float32)


def networks(parameters: Parameters, subject: int | None) -> Volume:
    """Return each emotion's network (E, X, Y, Z), the template's for subject None: 1 is `signal` percent.

    A network is a handful of Gaussian regions; it shares one with the next emotion's. A subject's regions are the
    template's, shifted and weighted at random in proportion to the idiosyncrasy, and stay in the brain.
    """
    shape = parameters.shape
    rng = parameters.generator(Stream.TEMPLATE, 2)
    inside = np.argwhere(radius(shape) < 0.85)
    size = max(1.0, REGION_SIZE * float(np.prod(shape)) ** (1 / 3))
    centres = inside[rng.choice(len(inside), size=len(EMOTIONS) * OWN_REGIONS, replace=False)].astype(float)
    gains = np.ones(len(centres))
    if subject is not None:
        rng = parameters.generator(Stream.SUBJECT, subject, 3)
        centres += parameters.idiosyncrasy * DISPLACEMENT_SIZES * size * rng.standard_normal(centres.shape)
        gains = np.exp(parameters.idiosyncrasy * GAIN_SD * rng.standard_normal(len(centres)))
        centres = np.array([inside[np.argmin(((inside - centre) ** 2).sum(axis=1))] for centre in centres])
    regions = np.stack([gain * _region(shape, centre, size) for centre, gain in zip(centres, gains, strict=True)])
    own = regions.reshape(len(EMOTIONS), OWN_REGIONS, *shape)
    shared = np.roll(own[:, 0], -1, axis=0)
    return np.asarray((own.sum(axis=1) + shared) * (radius(shape) < 1), dtype=np.float32)


def texture(rng: np.random.Generator, shape: tuple[int, ...], grain: float = 0.06) -> Volume:
    """Return a smooth random field (X, Y, Z), standard deviation 1; `grain` is its scale relative to the shape."""
    field = gaussian_filter(
        rng.standard_normal(shape, dtype=np.float32), [max(1.0, grain * side) for side in shape], mode="wrap"
    )
    return np.asarray(field / field.std(), dtype=np.float32)


def _region(shape: tuple[int, ...], centre: NDArray[np.float64], size: float) -> Volume:
    x, y, z = (
        np.exp(-((np.arange(side) - middle) ** 2) / (2 * size**2)) for side, middle in zip(shape, centre, strict=True)
    )
    return np.asarray(x[:, None, None] * y[:, None] * z, dtype=np.float32)
