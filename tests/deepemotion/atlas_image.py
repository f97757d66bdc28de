"""Atlases for tests: label images with regions of known extent."""

import nibabel
import numpy as np

from deepemotion.models import registry
from deepemotion.settings.schema import ModelSettings


def write_atlas(path, region_XYZ, affine=None):
    """Write a label image and return its path."""
    image = nibabel.Nifti1Image(np.asarray(region_XYZ, np.int16), np.eye(4) if affine is None else affine)
    nibabel.save(image, path)
    return path


def slabs(shape_XYZ, regions):
    """Return (X, Y, Z) region numbers 1 to `regions`, slabs along Y, with background in the first plane of Y."""
    region = np.zeros(shape_XYZ, np.int16)
    region[:, 1:] = 1 + np.arange(shape_XYZ[1] - 1)[:, None] * regions // (shape_XYZ[1] - 1)
    return region


def settings_of(name, shape_ZYX, folder, regions=4):
    """Return the settings of a model of the registry, with an atlas of slabs on that grid where it needs one."""
    if not registry.REGISTRY[name].needs_atlas:
        return ModelSettings(name=name)
    return ModelSettings(name=name, atlas=str(write_atlas(folder / "atlas.nii", slabs(shape_ZYX[::-1], regions))))
