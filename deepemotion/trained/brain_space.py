"""The space of a subject's voxels: their position in mm, their mean image, and whether it is roughly MNI space."""

from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine
from numpy.typing import NDArray

from deepemotion.files import atomic_path
from deepemotion.subject_file.reader import SubjectFile

# The box around the MNI152 brain, in mm; x, y, z. From the mask that nilearn ships (load_mni152_brain_mask).
_MNI_LOW, _MNI_HIGH = np.array([-73.0, -107.0, -73.0]), np.array([73.0, 73.0, 83.0])
# How far a brain in another template near MNI may extend beyond that box, and how much of its x and y it must fill.
_MNI_SLACK_MM, _MNI_LEAST = 15.0, 0.6


@dataclass(frozen=True)
class BrainSpace:
    """The affine (4, 4) from voxels to mm, the mask and the mean image (X, Y, Z) of a packed subject."""

    affine: NDArray[np.float64]
    mask: NDArray[np.bool_]
    mean: NDArray[np.float32]

    @classmethod
    def of(cls, packed: Path, subject: str) -> "BrainSpace":
        """Read it from the subject's packed file; the mean is over all runs."""
        with SubjectFile.of(packed, subject) as file:
            mean = np.zeros(file.mask.shape, np.float32, order="F")
            mean.T[file.mask.T] = file.statistics("mean").mean(axis=0)
            return cls(file.affine, file.mask, mean)

    def image(self, volume: NDArray[np.float32]) -> nib.Nifti1Image:
        """Return a volume (X, Y, Z) as an image of this space."""
        image = nib.Nifti1Image(np.asarray(volume, dtype=np.float32), self.affine)
        image.header.set_xyzt_units("mm")
        return image

    def upright_image(self, volume: NDArray[np.float32]) -> nib.Nifti1Image:
        """Return a volume (X, Y, Z) as an image whose axes are those of x, y, z in mm, however it is stored."""
        return nib.as_closest_canonical(self.image(volume))

    def in_mm(self) -> NDArray[np.float64]:
        """Return x, y, z in mm (V, 3) of the centres of the voxels in the mask."""
        return np.asarray(apply_affine(self.affine, np.argwhere(self.mask)))

    def write(self, path: Path, volume: NDArray[np.float32]) -> None:
        """Write a volume as .nii.gz in this space, atomically."""
        with atomic_path(path) as temporary:
            nib.save(self.image(volume), temporary)

    def far_from_mni(self) -> str:
        """Return in a few words why outlines of the MNI brain do not fit, or nothing if they roughly do.

        Partial coverage may end early in z, so only x and y have to be filled.
        """
        corners = np.argwhere(self.mask)[:, None] + np.array([[-0.5], [0.5]])
        in_mm = apply_affine(self.affine, corners.reshape(-1, 3))
        low, high = in_mm.min(axis=0), in_mm.max(axis=0)
        size = " × ".join(f"{side:.0f}" for side in high - low)
        if ((high - low)[:2] < _MNI_LEAST * (_MNI_HIGH - _MNI_LOW)[:2]).any():
            return f"the mask measures {size} mm, less than an MNI brain"
        if (low < _MNI_LOW - _MNI_SLACK_MM).any() or (high > _MNI_HIGH + _MNI_SLACK_MM).any():
            return f"the mask ({size} mm) extends beyond the MNI brain"
        return ""
