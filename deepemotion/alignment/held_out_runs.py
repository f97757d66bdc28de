"""The common features of runs that alignment has not seen: each run is left out in turn, and mapped as the others are.

Shape suffixes: S subjects, K features, T moments.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from deepemotion.alignment import shared_response
from deepemotion.alignment.moments import AlignedMoments, runs_of
from deepemotion.errors import UserError
from deepemotion.samples.load import common_grid
from deepemotion.settings.rules import refuse_alignment
from deepemotion.settings.schema import SplitSettings, TrialSettings
from deepemotion.subject_file.reader import SubjectFile


@dataclass(frozen=True)
class HeldOutRun:
    """A run's features in the common space of the other runs, and the power (S,) of its volumes: the sum of squares.

    The maps are orthonormal, so that the features' sum of squares is the part of the power that is in the common space.
    """

    run: int
    features_SKT: Tensor
    power_S: Tensor


def held_out_runs(
    files: Mapping[str, SubjectFile], settings: TrialSettings, device: torch.device, log: Callable[[str], None]
) -> Iterator[HeldOutRun]:
    """Yield each run that all subjects have, left out in turn.

    Template and maps are estimated on the moments that are more than `split.gap_s` seconds from the run, by
    `align.method` with `align.features`. All that is needed of the voxels is a Gram matrix of each subject's moments,
    float64. Those of all subjects are held at once, and a second time without the run: 200 MB each for 3,600 volumes.
    Raises UserError for fewer than two subjects or runs, more features than moments, and a normalisation that alignment
    cannot work with.
    """
    if len(files) < 2:
        raise UserError("the ceiling between brains needs at least 2 subjects")
    method, features = settings.align.method, settings.align.features
    assert method != "none"
    every = settings.model_copy(update={"split": SplitSettings()})
    of_runs = SplitSettings(protocol="run", fold=1, gap_s=settings.split.gap_s)
    refuse_alignment(settings.model_copy(update={"split": of_runs}), len(files))
    grid = common_grid(files.values(), settings.data)
    moments, training, grams = {}, {}, {}
    for subject, file in files.items():
        film = AlignedMoments.of(file, grid, every)
        splits = {run: of_runs.model_copy(update={"fold": run}) for run in file.volumes_per_run}
        training[subject] = {run: film.moment_T[film.training(split)] for run, split in splits.items()}
        moments[subject], grams[subject] = film.moment_T, film.gram(device)
        log(f"sub-{subject}: {len(film.moment_T)} volumes")
        # Before the next one is loaded: 3 GB of real data.
        del film
    common_T = reduce(np.intersect1d, moments.values())
    for subject, moment_T in moments.items():
        at = torch.from_numpy(np.searchsorted(moment_T, common_T))
        grams[subject] = grams[subject][at][:, at]
    runs = np.unique(runs_of(common_T)).tolist()
    if len(runs) < 2:
        raise UserError("the ceiling between brains needs at least 2 runs that all subjects have")
    for run in runs:
        fitted_T = reduce(np.intersect1d, [of_subject[run] for of_subject in training.values()])
        fitted = torch.from_numpy(np.flatnonzero(np.isin(common_T, fitted_T)))
        left_out = torch.from_numpy(np.flatnonzero(runs_of(common_T) == run))
        if features >= len(fitted):
            raise UserError(
                f"align.features={features}: without run {run}, subjects share {len(fitted)} volumes; use fewer"
            )
        yield HeldOutRun(run, *features_of(method, list(grams.values()), fitted, left_out, features, len(grid.voxels)))


def features_of(
    method: shared_response.Method,
    grams_TT: Sequence[Tensor],
    fitted: Tensor,
    left_out: Tensor,
    features: int,
    voxels: int,
) -> tuple[Tensor, Tensor]:
    """Return the features (S, K, L) of the L moments `left_out` by maps of the moments `fitted`, and their power (S,).

    Both are given by their numbers; `grams_TT` are those of the S subjects' moments, with so many voxels.
    """
    of_fitted = [gram_TT[fitted][:, fitted] for gram_TT in grams_TT]
    template_KT = shared_response.template(method, of_fitted, features, voxels)
    weights = [shared_response.fit(method, template_KT, gram_TT) for gram_TT in of_fitted]
    parts = [w_TK.T @ gram_TT[fitted][:, left_out] for w_TK, gram_TT in zip(weights, grams_TT, strict=True)]
    power = [gram_TT.diagonal()[left_out].sum() for gram_TT in grams_TT]
    return torch.stack(parts), torch.stack(power)
