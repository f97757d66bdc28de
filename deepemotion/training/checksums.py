"""Checksums of everything that a training reads, which show whether two trainings had the same data."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from deepemotion.labels.table import Labels
from deepemotion.samples import atlas
from deepemotion.settings.schema import Trial
from deepemotion.subject_file.control_file import ControlFile
from deepemotion.subject_file.reader import SubjectFile


def data_checksums(trial: Trial, files: Mapping[str, SubjectFile], labels: Labels) -> dict[str, str]:
    """Return the checksums of everything a trial reads: its labels, its atlas, its subjects' `files` and controls.

    Raises UserError if one cannot be read, or if the atlas is on a different grid than a subject.
    """
    checksums = {"labels": labels.checksum}
    if trial.model.atlas is not None:
        checksums["atlas"] = atlas.checksum(Path(trial.model.atlas))
    for subject in trial.all_subjects:
        checksums[f"sub-{subject}"] = files[subject].checksum
        if trial.data.control is not None and trial.data.control != "time":
            with ControlFile.of(files[subject]) as controls:
                checksums[f"controls-{subject}"] = controls.checksum(trial.data.control)
        if trial.model.atlas is not None:
            atlas.require_grid(Path(trial.model.atlas), files[subject])
    return checksums


def data_digest(checksums: Mapping[str, str]) -> str:
    """Return 16 hexadecimal digits that identify everything a training reads, from the checksum of each part."""
    return hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()[:16]
