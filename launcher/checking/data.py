"""Checks that the data of a run are still those that its trials were trained on, where they can be reached."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.samples import atlas
from deepemotion.subject_file import verify as subject_verify
from deepemotion.subject_file.control_file import ControlFile, control_path
from deepemotion.subject_file.reader import SubjectFile, subject_path
from deepemotion.training.checksums import CONFOUNDS, CONTROLS
from deepemotion.training.data_sources import Sources
from launcher.checking.problems import Problems, listed
from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory


def check_data(
    run: RunDirectory,
    trained: Mapping[str, Mapping[str, str]],
    plan: list[PlannedTrial],
    volumes: bool,
    found: Problems,
) -> None:
    """Check labels, atlases and packed subjects by their checksums, and with `volumes` every volume of the latter.

    `trained` has the checksums of the data of each trial, by part (`labels`, `atlas`, `sub-01`, `controls-01`,
    `confounds-01:motion`): the trials of a run that a later launch replaced are to be left out.
    """
    sources = None
    with found.collecting():
        sources = Sources.read(run.path)
    if sources is None:
        return
    recorded: defaultdict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    planned = {trial.name: trial for trial in plan}
    for name, parts in trained.items():
        trial = planned[name]
        for part, checksum in parts.items():
            place = str(trial.trial.model.atlas) if part == "atlas" else str(_place(sources, part))
            # One file has all controls of a subject.
            control = trial.control if part.startswith(CONTROLS) else _confound(part)[1]
            recorded[part, place, control][name] = checksum
    for (part, place, control), of_trials in sorted(recorded.items()):
        _check_part(part, Path(place), control, of_trials, volumes, found)


def _place(sources: Sources, part: str) -> Path:
    if part.startswith(CONTROLS):
        return control_path(sources.packed, part.removeprefix(CONTROLS))
    if part.startswith(CONFOUNDS):
        return control_path(sources.packed, _confound(part)[0])
    return sources.labels if part == "labels" else subject_path(sources.packed, part.removeprefix("sub-"))


def _confound(part: str) -> tuple[str, str]:
    """Return subject and control of the checksum of a confound, empty for that of anything else."""
    subject, _, name = part.removeprefix(CONFOUNDS).rpartition(":")
    return (subject, name) if part.startswith(CONFOUNDS) else ("", "")


def _check_part(
    part: str, path: Path, control: str, recorded: Mapping[str, str], volumes: bool, found: Problems
) -> None:
    if not path.exists():
        found.note(path, "cannot be reached from here, and was not checked")
        return
    try:
        present = _checksum(part, path, control)
    except UserError as error:
        found.problems.append(str(error))
        return
    others = [name for name, checksum in recorded.items() if checksum != present]
    if others:
        found.add(path, f"has changed since it was trained on; trials with other data: {listed(others)}")
    elif volumes and part.startswith("sub-"):
        for problem in subject_verify.problems(path):
            found.add(path, problem)
    elif volumes and control:
        with found.collecting(), ControlFile(path) as controls:
            controls.series(control)


def _checksum(part: str, path: Path, control: str) -> str:
    if part == "labels":
        return Labels.read(path).checksum
    if part == "atlas":
        return atlas.checksum(path)
    if control:
        with ControlFile(path) as controls:
            return controls.checksum(control)
    with SubjectFile(path) as file:
        return file.checksum
