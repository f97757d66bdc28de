"""The table of a map's clusters: their size, p, peak, and region of an atlas."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from nibabel.affines import apply_affine
from numpy.typing import NDArray

from deepemotion.samples import atlas
from deepemotion.scoring.cluster_test import FoundClusters
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.trained import region_names
from deepemotion.trained.brain_space import BrainSpace

# Of voxels that the atlas leaves out.
NO_REGION = "none"
_PEAK_VOXEL, _PEAK_MM = ["peak_i", "peak_j", "peak_k"], ["peak_x", "peak_y", "peak_z"]
_COLUMNS = ["cluster", "voxels", "mm3", "p", "p_fdr", "p_fwe", "significant", "peak", *_PEAK_VOXEL, *_PEAK_MM]
_OF_ATLAS = ["region", "region_share", "peak_region"]


@dataclass(frozen=True)
class Regions:
    """The region (X, Y, Z) of each voxel, 0 for none, and the regions' names."""

    region: NDArray[np.int64]
    names: dict[int, str] = field(default_factory=dict)

    @classmethod
    def read(cls, image: Path, names: Path | None, file: SubjectFile) -> "Regions":
        """Read an atlas on the grid of a packed subject. Raises UserError for another grid, or a file that is none."""
        atlas.require_grid(image, file)
        x, y, z = file.shape
        region = atlas.read(image, (z, y, x)).reshape(file.shape, order="F")
        return cls(region, {} if names is None else region_names.read(names))

    def name(self, number: int) -> str:
        """Return the name of a region."""
        return self.names.get(number, f"region {number}") if number else NO_REGION


def cluster_table(tested: FoundClusters, space: BrainSpace, regions: Regions | None) -> pd.DataFrame:
    """Return a row for each cluster of voxels, the largest first.

    Columns: cluster (its number), voxels, mm3; p, p_fdr, p_fwe and significant as in `FoundClusters`; peak, the largest
    value; peak_i, peak_j, peak_k, its voxel in the image; peak_x, peak_y, peak_z, its place in mm. With an atlas also
    region, which holds most of the cluster's voxels, region_share, which share of them, and peak_region.
    """
    voxel_V3 = np.argwhere(space.mask)
    voxel_mm3 = abs(float(np.linalg.det(space.affine[:3, :3])))
    rows: list[dict[str, Any]] = []
    for index, size in enumerate(tested.size.tolist()):
        inside = np.flatnonzero(tested.cluster == index + 1)
        peak = inside[tested.observed[inside].argmax()]
        row: dict[str, Any] = {"cluster": index + 1, "voxels": size, "mm3": round(size * voxel_mm3, 3)}
        row |= {"p": tested.cluster_p[index], "p_fdr": tested.fdr_p[index], "p_fwe": tested.fwe_p[index]}
        row |= {"significant": bool(tested.significant[index]), "peak": float(tested.observed[peak])}
        row |= dict(zip(_PEAK_VOXEL, voxel_V3[peak].tolist(), strict=True))
        in_mm = apply_affine(space.affine, voxel_V3[peak]).round(3)
        row |= dict(zip(_PEAK_MM, in_mm.tolist(), strict=True))
        rows.append(row if regions is None else row | _in_atlas(regions, voxel_V3[inside], voxel_V3[peak]))
    return pd.DataFrame(rows, columns=_COLUMNS + ([] if regions is None else _OF_ATLAS))


def _in_atlas(regions: Regions, voxel_C3: NDArray[np.int64], peak_3: NDArray[np.int64]) -> dict[str, Any]:
    number, count = np.unique(regions.region[tuple(voxel_C3.T)], return_counts=True)
    most = int(count.argmax())
    peak_region = regions.name(int(regions.region[tuple(peak_3)]))
    values = (regions.name(int(number[most])), float(count[most] / count.sum()), peak_region)
    return dict(zip(_OF_ATLAS, values, strict=True))
