"""What planning needs to know of the packed subjects and the labels, read from headers only."""

from pathlib import Path

from deepemotion.errors import UserError
from deepemotion.labels import Labels
from deepemotion.subject_file import SubjectFile, find_subjects
from launcher.plan import DataFacts, SubjectFacts


def read(packed: Path, labels_file: Path) -> tuple[DataFacts, dict[str, str]]:
    """Return the facts, and for each subject file that cannot be read the reason.

    Such a subject is planned all the same: its trials fail with that reason, the others do not wait for a repair.
    Raises UserError where there are no files, no readable one, or no labels.
    """
    labels = Labels.read(labels_file)
    subjects: dict[str, SubjectFacts] = {}
    broken: dict[str, str] = {}
    paths = find_subjects(packed)
    for subject, path in paths.items():
        try:
            with SubjectFile(path) as file:
                runs = file.volumes_per_run
                subjects[subject] = SubjectFacts(
                    file.checksum, file.shape, file.voxels, sum(runs.values()), tuple(runs)
                )
        except UserError as error:
            broken[subject] = str(error)
    if not subjects:
        raise UserError(next(iter(broken.values())))
    typical = next(iter(subjects.values()))
    for subject in broken:
        size = paths[subject].stat()
        unread = f"unreadable-{size.st_size}-{size.st_mtime_ns}"
        subjects[subject] = SubjectFacts(unread, typical.shape, typical.voxels, typical.volumes, typical.runs)
    share = float((labels.emotion >= 0).mean())
    return DataFacts(dict(sorted(subjects.items())), labels.checksum, share, len(labels.classes)), broken
