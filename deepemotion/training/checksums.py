"""Checksums of everything that a training reads, which show whether two trainings had the same data."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from deepemotion.labels.table import Labels
from deepemotion.samples import atlas
from deepemotion.settings.schema import DataSettings, Trial
from deepemotion.subject_file.control_file import ControlFile
from deepemotion.subject_file.reader import SubjectFile

# The beginnings of the names of checksums of a subject's control that is trained on, and of one regressed out.
CONTROLS, CONFOUNDS = "controls-", "confounds-"


def packed_controls(data: DataSettings, subject: str) -> dict[str, str]:
    """Return the controls that must be packed beside a subject, by the name of each one's checksum."""
    names = {f"{CONFOUNDS}{subject}:{name}": name for name in data.confounds}
    if data.control is not None:
        names[f"{CONTROLS}{subject}"] = data.control
    # Moments of volumes need no packed values.
    return {part: name for part, name in names.items() if name != "time"}


def data_checksums(trial: Trial, files: Mapping[str, SubjectFile], labels: Labels) -> dict[str, str]:
    """Return the checksums of everything a trial reads: its labels, its atlas, its subjects' `files` and controls.

    Raises UserError if one cannot be read, or if the atlas is on a different grid than a subject.
    """
    checksums = {"labels": labels.checksum}
    if trial.model.atlas is not None:
        checksums["atlas"] = atlas.checksum(Path(trial.model.atlas))
    for subject in trial.all_subjects:
        checksums[f"sub-{subject}"] = files[subject].checksum
        controls = packed_controls(trial.data, subject)
        if controls:
            with ControlFile.of(files[subject]) as packed:
                checksums |= {part: packed.checksum(name) for part, name in controls.items()}
        if trial.model.atlas is not None:
            atlas.require_grid(Path(trial.model.atlas), files[subject])
    return checksums


def data_digest(checksums: Mapping[str, str]) -> str:
    """Return 16 hexadecimal digits that identify everything a training reads, from the checksum of each part."""
    return hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()[:16]
