"""The checksums of all that a training reads: they tell whether two trainings had the same data."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from deepemotion.labels.table import Labels
from deepemotion.samples import atlas
from deepemotion.settings.schema import Trial
from deepemotion.subject_file.reader import SubjectFile


def data_checksums(trial: Trial, packed: Path, labels: Labels) -> dict[str, str]:
    """Return the checksums of everything a trial reads: its labels, its atlas and its subjects' files.

    Raises UserError where one cannot be read, or the atlas lies on another grid than a subject.
    """
    checksums = {"labels": labels.checksum}
    if trial.model.atlas is not None:
        checksums["atlas"] = atlas.checksum(Path(trial.model.atlas))
    for subject in (*trial.subjects, *trial.unseen_subjects):
        with SubjectFile.of(packed, subject) as file:
            checksums[f"sub-{subject}"] = file.checksum
            if trial.model.atlas is not None:
                atlas.require_grid(Path(trial.model.atlas), file)
    return checksums


def data_digest(checksums: Mapping[str, str]) -> str:
    """Return 16 hexadecimal digits for the content of all that a training reads, by the checksum of each part."""
    return hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()[:16]
