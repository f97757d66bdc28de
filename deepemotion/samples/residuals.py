"""Reads volumes without what confounds explain of them: each voxel's residuals from a regression within each run.

The coefficients of a run are of all its volumes, labelled or not, and of no other run. Residuals keep the voxel's mean.

Shape suffixes: T volumes of a run, V voxels, K columns of a basis, R runs.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from deepemotion.samples.reader import LARGEST, THREADS, Reader, VoxelScale
from deepemotion.subject_file import kernels
from deepemotion.subject_file.format import Statistic
from deepemotion.subject_file.run_statistics import BLOCK

# What is left of a voxel that confounds explain up to this share of its standard deviation is rounding.
_LEAST_LEFT = 1e-3


@dataclass(frozen=True)
class _Residuals:
    """What describes a run's residuals, each (V,): mean and standard deviation, line (units a volume).

    They are in the units of the reader below; `per_unit` is 0 for a voxel of which nothing is left.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    trend: NDArray[np.float32]
    per_unit: NDArray[np.float32]


class ResidualReader:
    """The residuals of another reader's volumes, as int16 with a scale for each voxel and run.

    The scale holds every value that residuals can have: at most sqrt(T - 1) standard deviations (Samuelson 1968).
    """

    def __init__(self, reader: Reader, bases: Mapping[int, NDArray[np.float64]], *, keep: bool) -> None:
        """Read from `reader`, with an orthonormal basis (T, K) of the confounds for each of its runs.

        `keep` all coefficients, to `read` any volumes; otherwise only `read_side_by_side` can be used, which keeps
        those of one run at a time.
        """
        self.file, self.voxels = reader.file, reader.voxels
        self._reader = reader
        self._bases = bases
        self._keep = keep
        self._residuals: dict[int, _Residuals] = {}
        self._coefficients: dict[int, NDArray[np.float32]] = {}
        length = self.file.volumes_per_run
        self._first = dict(zip(length, np.cumsum([0, *length.values()]).tolist(), strict=False))

    @property
    def voxel_scale(self) -> VoxelScale:
        """Slope and intercept (R, V) by which residuals become physical values; coefficients are found first."""
        self._fit_all()
        residuals = [self._residuals[run] for run in self._bases]
        per_unit_RV = np.stack([one.per_unit for one in residuals]).astype(np.float64)
        slope_RV = 1 / np.where(per_unit_RV > 0, per_unit_RV, 1)
        mean_RV = np.stack([one.mean for one in residuals]).astype(np.float64)
        below = self._reader.voxel_scale
        return (slope_RV, mean_RV) if below is None else (below[0] * slope_RV, below[0] * mean_RV + below[1])

    def scale(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return slopes 1 and intercepts 0 (n, 2): `voxel_scale` is the whole scale."""
        return np.tile([1.0, 0.0], (len(rows), 1))

    def statistics(self, names: tuple[Statistic, ...]) -> dict[Statistic, NDArray[np.float32]]:
        """Return (R, V) of each name, of the residuals in physical units, one row per run."""
        self._fit_all()
        below = self._reader.voxel_scale
        found = {}
        for name in names:
            values_RV = np.stack([getattr(self._residuals[run], name) for run in self._bases])
            if below is not None:
                slope_RV, intercept_RV = below
                factor_RV = np.abs(slope_RV) if name == "std" else slope_RV
                values_RV = values_RV * factor_RV + (intercept_RV if name == "mean" else 0)
            found[name] = values_RV.astype(np.float32)
        return found

    def read(self, rows: NDArray[np.int64], out: NDArray[np.int16]) -> NDArray[np.float64]:
        """Read the residuals of the volumes `rows` (n,) of the file into `out` (n, V), as a `VolumeReader` does."""
        scale_N2 = self._reader.read(rows, out)
        run_N = self.file.run[rows]
        borders = [0, *(1 + np.flatnonzero(np.diff(run_N))).tolist(), len(rows)]
        for start, end in pairwise(borders):
            if start == end:
                continue
            run = int(run_N[start])
            basis_NK = self._bases[run][rows[start:end] - self._first[run]]
            residuals = self._residuals[run]
            kernels.subtract_products(
                out[start:end],
                scale_N2[start:end],
                basis_NK,
                self._coefficients[run],
                residuals.mean,
                residuals.per_unit,
            )
        return self.scale(rows)

    def read_side_by_side(self, rows: NDArray[np.int64], out: NDArray[np.int16]) -> NDArray[np.float64]:
        """Do the same in several threads; `rows` must be in order."""
        end_R = np.searchsorted(rows, [*self._first.values(), self.file.total])
        with ThreadPoolExecutor(THREADS) as pool:
            for run, start, end in zip(self._bases, end_R[:-1].tolist(), end_R[1:].tolist(), strict=True):
                self._fit(run)
                bounds = [start + (end - start) * part // THREADS for part in range(THREADS + 1)]
                list(pool.map(lambda a, b: self.read(rows[a:b], out[a:b]), bounds[:-1], bounds[1:]))
                self._release(run)
        return self.scale(rows)

    def _fit_all(self) -> None:
        for run in self._bases:
            if run not in self._residuals:
                self._fit(run)
                self._release(run)

    def _release(self, run: int) -> None:
        if not self._keep:
            del self._coefficients[run]

    def _fit(self, run: int) -> None:
        """Find a run's coefficients, in one pass over its volumes: the products of its basis with each voxel."""
        if run in self._coefficients:
            return
        basis_TK = self._bases[run]
        volumes = len(basis_TK)
        time_T = np.arange(volumes) - (volumes - 1) / 2
        # Mean and line are not part of the basis, but the unit needs them.
        known_TK = np.column_stack([np.ones(volumes) / volumes, time_T / (time_T * time_T).sum(), basis_TK])
        sums_KV, squares_V, centre_V = self._products(self._first[run], known_TK)
        from_centre_V, trend_V, coefficients_KV = sums_KV[0], sums_KV[1], sums_KV[2:]
        variance_V = squares_V / volumes - from_centre_V**2
        left_V = variance_V - np.einsum("kv,kv->v", coefficients_KV, coefficients_KV) / volumes
        std_V = np.sqrt(np.maximum(left_V, 0))
        std_V[left_V < _LEAST_LEFT**2 * variance_V] = 0
        trend_V -= np.einsum("k,kv->v", (known_TK[:, 1:2] * basis_TK).sum(axis=0), coefficients_KV)
        # The statistics are float32.
        reach_V = 1.001 * np.sqrt(volumes - 1) * std_V
        with np.errstate(divide="ignore"):
            per_unit_V = np.where(reach_V > 0, np.minimum(LARGEST / reach_V, np.finfo(np.float32).max), 0)
        of_run = (centre_V + from_centre_V, std_V, np.where(std_V > 0, trend_V, 0), per_unit_V)
        self._residuals[run] = _Residuals(*(values.astype(np.float32) for values in of_run))
        self._coefficients[run] = coefficients_KV.astype(np.float32)

    def _products(
        self, first: int, known_TK: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the sums (K, V) of known_TK times x - c, those (V,) of its squares, and c (V,), the first volume."""
        volumes, columns = known_TK.shape
        stored = np.empty((min(BLOCK, volumes), self.voxels), np.int16)
        sums_KV, squares_V = np.zeros((columns, self.voxels)), np.zeros(self.voxels)
        centre_V = np.empty(0)
        bounds = [self.voxels * part // THREADS for part in range(THREADS + 1)]
        with ThreadPoolExecutor(THREADS) as pool:
            for start in range(0, volumes, BLOCK):
                block = np.arange(start, min(start + BLOCK, volumes))
                x_TV, weights_TK = stored[: len(block)], known_TK[block]
                scale_T2 = self._reader.read_side_by_side(first + block, x_TV)
                if not start:
                    centre_V = x_TV[0] * scale_T2[0, 0] + scale_T2[0, 1]
                arrays = (x_TV, scale_T2, weights_TK, centre_V, sums_KV, squares_V)
                list(pool.map(partial(kernels.add_products, *arrays), pairwise(bounds)))
        return sums_KV, squares_V, centre_V
