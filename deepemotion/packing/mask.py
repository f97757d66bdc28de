"""Which voxels a mask file marks, where interpolation may have blurred its values."""

import numpy as np
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.packing.nifti import NiftiHeader, VolumeStream

# A mask between 0 and 1 that was resampled with splines exceeds both a little.
_BETWEEN_0_AND_1 = (-0.5, 1.5)
_HALF = 0.5


def read_mask(header: NiftiHeader) -> tuple[NDArray[np.bool_], str | None]:
    """Return the voxels (X, Y, Z) inside a mask, and a note if they had to be interpreted.

    A mask of one positive value, and one of whole numbers, has all voxels above 0; one between 0 and 1, as resampling
    and tissue probabilities give, has those above 0.5. NaN is outside. Raises UserError for several volumes and for any
    other values.
    """
    if header.volumes != 1:
        raise UserError(f"{header.path}: {header.volumes} volumes; a mask has one")
    (volume,) = VolumeStream(header)
    values = volume.astype(np.float64) * header.slope + header.intercept
    values[~np.isfinite(values)] = 0
    threshold = 0.0 if _is_plain(values) else _HALF
    if threshold and not (_BETWEEN_0_AND_1[0] <= values.min() and values.max() <= _BETWEEN_0_AND_1[1]):
        raise UserError(
            f"{header.path}: its values, {values.min():g} to {values.max():g}, are neither those of a mask (0 and one"
            " other) nor between 0 and 1; binarise it (nilearn.image.binarize_img)"
        )
    inside: NDArray[np.bool_] = (values > threshold).reshape(header.shape, order="F")
    if not threshold:
        return inside, None
    return inside, f"{header.path.name} has values between 0 and 1: voxels above {_HALF} are inside the mask"


def _is_plain(values: NDArray[np.float64]) -> bool:
    """Return whether a mask has one value above 0, or whole numbers only, as a label image has."""
    positive = values[values > 0]
    return bool((positive == positive.max(initial=0)).all() or (values == np.rint(values)).all())
