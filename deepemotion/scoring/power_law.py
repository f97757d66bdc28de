"""The curve of accuracy over the amount of training data, and what it says of amounts that there are not yet."""

from dataclasses import dataclass

import numpy as np

from deepemotion.scoring.metrics import Floats

# With fewer sizes the curve has as many parameters as points, or more.
FEWEST_SIZES = 3
# From nearly logarithmic growth to a curve that is flat after its first point.
_EXPONENTS = np.geomspace(0.05, 4.0, 81)


@dataclass(frozen=True)
class PowerLaw:
    """Accuracy `a - b n^-c` after training on n runs or subjects; each is an array (...) over curves."""

    a: Floats
    b: Floats
    c: Floats

    def at(self, size: float) -> Floats:
        """Return the accuracy (...) at a size."""
        value: Floats = self.a - self.b * size**-self.c
        return value


def fit(sizes: Floats, accuracy: Floats) -> PowerLaw:
    """Return the inverse power laws that are nearest to accuracies (..., S) in [0, 1] at S growing sizes.

    The form is that of Cortes et al. (1993, NIPS 6:327) for the error, a + b n^-c. As in Figueroa et al. (2012, BMC Med
    Inform Decis Mak 12:8), squares are weighted so that larger sizes count more, the j-th of S by j / S. b is not
    negative and a at most 1: accuracy does not fall with more data and ends below 100 %. c is found on a grid from 0.05
    to 4; for each c the best a and b are known in closed form. Raises ValueError for fewer than 3 sizes.
    """
    if len(sizes) < FEWEST_SIZES:
        raise ValueError(f"a curve needs {FEWEST_SIZES} sizes, not {len(sizes)}")
    weight_S = np.arange(1, len(sizes) + 1) / len(sizes)
    weight_S = weight_S / weight_S.sum()
    # (E, 1, S) for E exponents and all curves side by side.
    x = np.power.outer(np.asarray(sizes, np.float64), -_EXPONENTS).T[:, None, :]
    y = np.asarray(accuracy, np.float64).reshape(1, -1, len(sizes))
    mean_x, mean_y = (x * weight_S).sum(-1), (y * weight_S).sum(-1)
    covariance = ((x - mean_x[..., None]) * (y - mean_y[..., None]) * weight_S).sum(-1)
    variance = ((x - mean_x[..., None]) ** 2 * weight_S).sum(-1)
    b = np.maximum(-covariance / variance, 0)
    a = mean_y + b * mean_x
    # Where the best a exceeds 1, the best one that is allowed is 1, and b that of a line through it.
    through_one = ((1 - y) * x * weight_S).sum(-1) / (x**2 * weight_S).sum(-1)
    a, b = np.where(a > 1, 1.0, a), np.where(a > 1, through_one, b)
    squares = ((a[..., None] - b[..., None] * x - y) ** 2 * weight_S).sum(-1)
    best = squares.argmin(axis=0)
    shape = np.shape(accuracy)[:-1]
    curves = np.arange(y.shape[1])
    return PowerLaw(a[best, curves].reshape(shape), b[best, curves].reshape(shape), _EXPONENTS[best].reshape(shape))
