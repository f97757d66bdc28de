"""Loads a control: the labelled volumes of a trial, each with features that hold no brain in place of its voxels."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from deepemotion.controls.features import features
from deepemotion.labels.table import Labels
from deepemotion.samples.grid import Grid
from deepemotion.samples.load import load_opened
from deepemotion.samples.samples import Samples
from deepemotion.samples.volumes import Held
from deepemotion.settings.schema import DataSettings
from deepemotion.subject_file.reader import SubjectFile


def load_control(files: Mapping[str, SubjectFile], labels: Labels | None, settings: DataSettings) -> Samples:
    """Load the volumes that `load_opened` loads with these settings, with the features of `settings.control`.

    A dense volume is (1, 1, F), F the number of features; they are not normalised. Raises UserError as `load_opened`
    does, and where a subject lacks what the control is made of.
    """
    brain = load_opened(files, labels, settings.model_copy(update={"normalisation": "none"}), most_bytes=0)
    by_subject = features(str(settings.control), files, settings.lag_s)
    table, of_volumes = brain.table, []
    for subject, file in files.items():
        # Run and index in run say which row of the file a volume is.
        length = file.volumes_per_run
        first = dict(zip(length, np.cumsum([0, *length.values()]).tolist(), strict=False))
        own = table.subject == subject
        rows = [first[run] for run in table.run[own].tolist()] + table.index_in_run[own]
        of_volumes.append(by_subject[subject][rows])
    return _with_features(brain, np.concatenate(of_volumes))


def _with_features(brain: Samples, features_NF: NDArray[np.float32]) -> Samples:
    volumes, width = features_NF.shape
    grid = Grid(np.ones((width, 1, 1), np.bool_), 1, (0, 0, 0), (width, 1, 1))
    return replace(
        brain,
        grid=grid,
        voxels_V=torch.from_numpy(grid.voxels),
        volumes=Held(torch.from_numpy(features_NF)),
        scale_N2=torch.tensor([[1.0, 0.0]]).expand(volumes, 2).contiguous(),
        offset_GV=None,
        gain_GV=None,
        trend_GV=None,
    )
