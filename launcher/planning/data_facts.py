"""Reads what planning needs to know of the packed subjects and the labels, from headers only."""

from dataclasses import replace
from pathlib import Path

from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.samples.grid import bounding_box
from deepemotion.subject_file.folder import find_subjects
from deepemotion.subject_file.reader import SubjectFile
from launcher.planning.experiment import Experiment
from launcher.planning.facts import AtlasFacts, DataFacts, SubjectFacts


def read(packed: Path, labels_file: Path, experiment: Experiment) -> tuple[DataFacts, dict[str, str]]:
    """Return the facts, and for each subject file that cannot be read the reason, by subject.

    With `plan.subjects` "all" such a subject is planned nevertheless: its trials fail with that reason, and the others
    need not wait for a repair. Raises UserError where there are no files, no readable one, no labels, an atlas that is
    missing or does not fit, and where a subject that `plan.subjects` names cannot be read.
    """
    labels = Labels.read(labels_file)
    subjects: dict[str, SubjectFacts] = {}
    broken: dict[str, str] = {}
    paths = find_subjects(packed)
    for subject in paths:
        try:
            with SubjectFile.of(packed, subject) as file:
                runs = file.volumes_per_run
                subjects[subject] = SubjectFacts(
                    file.checksum, file.shape, _box(file), file.voxels, sum(runs.values()), tuple(runs)
                )
        except UserError as error:
            broken[subject] = str(error)
    named = [] if experiment.plan.subjects == "all" else experiment.plan.subjects
    unusable = next((subject for subject in named if subject in broken), None if subjects else next(iter(broken)))
    if unusable is not None:
        raise UserError(broken[unusable])
    if named:
        broken = {}
    readable, typical = next(iter(subjects.items()))
    for subject in broken:
        size = paths[subject].lstat()
        unread = f"unreadable-{size.st_size}-{size.st_mtime_ns}"
        subjects[subject] = replace(typical, checksum=unread)
    share = float((labels.emotion >= 0).mean())
    atlases = {name: _atlas_facts(name, paths[readable]) for name in _atlases(experiment)}
    return DataFacts(dict(sorted(subjects.items())), labels.checksum, share, len(labels.classes), atlases), broken


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
