"""The confounds of a subject's runs, as orthonormal columns that are regressed out of each voxel.

Shape suffixes: T volumes of a run, F features of confounds, K columns of a basis.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from deepemotion.controls.features import features
from deepemotion.errors import UserError
from deepemotion.settings.schema import DataSettings
from deepemotion.subject_file.reader import SubjectFile

# Of a feature's variation around its mean, or of a column's beside the others: less is the rounding of float32 alone.
_LEAST_VARIATION, _LEAST_OWN = 1e-6, 1e-5


def bases(file: SubjectFile, settings: DataSettings) -> dict[int, NDArray[np.float64]]:
    """Return the `basis` (T, K) of what `settings.confounds` span in each run.

    Where volumes are detrended afterwards it leaves out the line, so that a confound which is removed does not come
    back with the line (Lindquist et al. 2019, Hum Brain Mapp 40:2358). Features are those of the controls of this
    subject alone, whatever other subjects have. Raises UserError where the subject lacks a confound, and where
    confounds would leave nothing of a run.
    """
    files = {file.subject: file}
    columns = [features(name, files, settings.lag_s)[file.subject] for name in settings.confounds]
    features_TF = np.concatenate(columns, axis=1).astype(np.float64)
    line = settings.normalisation == "zscore+detrend"
    found, end = {}, 0
    for run, volumes in file.volumes_per_run.items():
        start, end = end, end + volumes
        found[run] = basis(features_TF[start:end], line=line)
        if 1 + line + found[run].shape[1] >= volumes:
            raise UserError(
                f"{file.path}: run {run} has {volumes} volumes, of which the {found[run].shape[1]} independent features"
                f" of data.confounds={'+'.join(settings.confounds)} leave nothing; name fewer confounds"
            )
    return found


def most_regressors(files: Iterable[SubjectFile], settings: DataSettings) -> int:
    """Return the most columns that any run of these subjects has to regress out. Raises UserError as `bases` does."""
    if not settings.confounds:
        return 0
    return max(int(one.shape[1]) for file in files for one in bases(file, settings).values())


def basis(features_TF: NDArray[np.float64], *, line: bool) -> NDArray[np.float64]:
    """Return an orthonormal basis (T, K) of what features span beside a constant and, if `line`, a line over time.

    Features that are constant, or sums of others up to the rounding of float32, add nothing. By Gram-Schmidt with
    pivoting, and by einsum, not BLAS, whose last bits depend on the number of threads.
    """
    time_T = np.arange(len(features_TF)) - (len(features_TF) - 1) / 2
    fixed = np.stack([np.ones_like(time_T), time_T][: 1 + line])
    fixed /= _length(fixed)[:, None]
    rest_FT = np.ascontiguousarray(features_TF.T)
    length_F = _length(rest_FT)
    rest_FT = rest_FT[length_F > 0] / length_F[length_F > 0, None]
    for _ in range(2):
        rest_FT -= np.einsum("fk,kt->ft", np.einsum("ft,kt->fk", rest_FT, fixed), fixed)
    length_F = _length(rest_FT)
    varies_F = length_F > _LEAST_VARIATION
    rest_FT = rest_FT[varies_F] / length_F[varies_F, None]
    found_KT = fixed
    while len(rest_FT) and len(found_KT) < len(features_TF):
        length_F = _length(rest_FT)
        pivot = int(length_F.argmax())
        if length_F[pivot] <= _LEAST_OWN:
            break
        own_T = rest_FT[pivot] / length_F[pivot]
        # Once more: rounding leaves shares of earlier columns in a short one.
        own_T -= np.einsum("k,kt->t", np.einsum("kt,t->k", found_KT, own_T), found_KT)
        own_T /= _length(own_T[None])
        found_KT = np.concatenate([found_KT, own_T[None]])
        rest_FT = np.delete(rest_FT, pivot, axis=0)
        rest_FT -= np.einsum("f,t->ft", np.einsum("ft,t->f", rest_FT, own_T), own_T)
    return np.ascontiguousarray(found_KT[len(fixed) :].T)


def _length(rows_FT: NDArray[np.float64]) -> NDArray[np.float64]:
    length_F: NDArray[np.float64] = np.sqrt(np.einsum("ft,ft->f", rows_FT, rows_FT))
    return length_F
