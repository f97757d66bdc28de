"""Reads what planning needs to know of the packed subjects and the labels, from headers only."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.samples.agreement import Origin, Space, require_labels_of, require_one_film, require_one_space
from deepemotion.samples.confounds import most_regressors
from deepemotion.samples.grid import bounding_box
from deepemotion.settings.schema import DataSettings
from deepemotion.subject_file.control_file import ControlFile, control_path
from deepemotion.subject_file.folder import find_subjects
from deepemotion.subject_file.reader import SubjectFile
from launcher.planning.experiment import Experiment
from launcher.planning.facts import AtlasFacts, DataFacts, SubjectFacts
from launcher.planning.training_sets import training_sets


def read(packed: Path, labels_file: Path, experiment: Experiment) -> tuple[DataFacts, dict[str, str]]:
    """Return the facts, and for each subject file that cannot be read the reason, by subject.

    With `plan.subjects` "all" such a subject is planned nevertheless: its trials fail with that reason, and the others
    need not wait for a repair. Raises UserError where there are no files, no readable one, no labels, an atlas that is
    missing or does not fit, where a subject that `plan.subjects` names cannot be read, and where the subjects of the
    plan or the labels are of different films, or the subjects of one trial on different grids of voxels. If the
    experiment has controls, the same goes for those of a subject that cannot be read; and if it has confounds, for a
    subject that lacks one, or has too few volumes for them.
    """
    labels = Labels.read(labels_file)
    named = [] if experiment.plan.subjects == "all" else experiment.plan.subjects
    known: dict[str, _Known] = {}
    broken: dict[str, str] = {}
    shared = _SharedMask()
    paths = find_subjects(packed)
    for subject in paths:
        try:
            with SubjectFile.of(packed, subject) as file:
                known[subject] = _Known.of(file)
                if not named or subject in named:
                    shared.add(file)
        except UserError as error:
            broken[subject] = str(error)
    unusable = next((subject for subject in named if subject in broken), None if known else next(iter(broken)))
    if unusable is not None:
        raise UserError(broken[unusable])
    subjects = {subject: one.facts for subject, one in known.items()}
    if named:
        broken = {}
    # Those that are named and not packed are missed later, where the training sets are made.
    used = [subject for subject in known if not named or subject in named] or list(known)
    regressed = _settings_with_confounds(experiment)
    if experiment.controls or regressed:
        subjects |= {subject: replace(subjects[subject], controls=_controls(packed, subject)) for subject in used}
    if regressed:
        subjects |= {
            subject: replace(subjects[subject], regressors=_regressors(packed, subject, regressed)) for subject in used
        }
    for subject in broken:
        size = paths[subject].lstat()
        unread = f"unreadable-{size.st_size}-{size.st_mtime_ns}"
        subjects[subject] = replace(subjects[used[0]], checksum=unread)
    sets = training_sets(experiment, sorted(subjects))
    require_one_film([known[subject].origin for subject in used])
    require_labels_of(known[used[0]].origin, labels, labels_file)
    if any(len(seen) + len(unseen) > 1 for _, seen, unseen in sets):
        require_one_space([known[subject].space for subject in used])
        shared.require_voxels(packed)
    facts = DataFacts(
        dict(sorted(subjects.items())),
        labels.checksum,
        float((labels.emotion >= 0).mean()),
        len(labels.classes),
        {name: _atlas_facts(name, paths[used[0]]) for name in _atlases(experiment)},
        known[used[0]].stretches,
    )
    return facts, broken


@dataclass(frozen=True)
class _Known:
    """What a subject file that can be read says of itself."""

    facts: SubjectFacts
    origin: Origin
    space: Space

    @classmethod
    def of(cls, file: SubjectFile) -> Self:
        runs = file.volumes_per_run
        volumes = sum(runs.values())
        facts = SubjectFacts(file.checksum, file.shape, _box(file), file.voxels, volumes, tuple(runs))
        return cls(facts, Origin.of(file), Space.of(file))

    @property
    def stretches(self) -> tuple[tuple[float, float], ...]:
        """The film's seconds at the first and the last volume of each run."""
        return tuple((one.start, max(one.start, one.end - self.origin.tr)) for one in self.origin.segments)


class _SharedMask:
    """The voxels that the masks of several subjects share."""

    def __init__(self) -> None:
        self._mask: NDArray[np.bool_] | None = None
        self._subjects: list[str] = []

    def add(self, file: SubjectFile) -> None:
        """Take in another subject's mask, unless it is of another shape, which is an error of its own."""
        self._subjects.append(file.subject)
        if self._mask is None:
            self._mask = file.mask.copy()
        elif self._mask.shape == file.mask.shape:
            self._mask &= file.mask

    def require_voxels(self, packed: Path) -> None:
        """Raise UserError where there is no such voxel."""
        if self._mask is not None and not self._mask.any():
            raise UserError(f"{packed}: the masks of subjects {', '.join(self._subjects)} share no voxel")


def _controls(packed: Path, subject: str) -> dict[str, str]:
    """Return the checksum of each control that is packed beside a subject."""
    if not control_path(packed, subject).exists():
        return {}
    with SubjectFile.of(packed, subject) as file, ControlFile.of(file) as controls:
        return {name: controls.checksum(name) for name in controls.header.controls}


def _settings_with_confounds(experiment: Experiment) -> list[DataSettings]:
    """Return the settings of each value of `data.confounds` that is not empty."""
    swept = experiment.plan.sweep.get("data.confounds", [experiment.data.confounds])
    of_values = (experiment.trial_settings({"data.confounds": value}).data for value in swept)
    return [settings for settings in of_values if settings.confounds]


def _regressors(packed: Path, subject: str, regressed: list[DataSettings]) -> dict[str, int]:
    with SubjectFile.of(packed, subject) as file:
        return {"+".join(settings.confounds): most_regressors([file], settings) for settings in regressed}


def _box(file: SubjectFile) -> tuple[int, int, int]:
    low, high = bounding_box(file.mask)
    x, y, z = (end - first for first, end in zip(low, high, strict=True))
    return x, y, z


def _atlases(experiment: Experiment) -> list[str]:
    """Return the atlases that any trial of the experiment names."""
    named = experiment.plan.sweep.get("model.atlas", [experiment.model.atlas])
    return [name for name in named if isinstance(name, str)]


def _atlas_facts(name: str, subject: Path) -> AtlasFacts:
    # Reading NIfTI files needs slow imports, which a plan without an atlas can do without.
    from deepemotion.samples import atlas

    path = Path(name).absolute()
    facts = AtlasFacts(str(path), atlas.checksum(path))
    with SubjectFile(subject) as file:
        atlas.require_grid(path, file)
    return facts
