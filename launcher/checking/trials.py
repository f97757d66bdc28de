"""Checks each trial of a run: that its files belong to the plan, to each other, and to a launch."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pydantic

from deepemotion import __version__
from deepemotion.settings.schema import Trial
from deepemotion.subject_file.format import FORMAT_VERSION
from deepemotion.training.checksums import data_digest
from deepemotion.training.trial_directory import TRIALS, TrialDirectory
from launcher.checking.predictions import check_predictions
from launcher.checking.problems import Problems
from launcher.planning import identity
from launcher.planning.plan import PlannedTrial
from launcher.run import plan_file
from launcher.run.directory import RunDirectory
from launcher.run.trial_files import read_epochs, read_failure, read_result

Launches = Sequence[Mapping[str, Any]]


def check_plan(run: RunDirectory, plan: Sequence[PlannedTrial], found: Problems) -> None:
    """Check that the plan does not contradict itself, and that no folder belongs to a trial that it does not have."""
    for name, column in plan_file.contradictions(run.plan_file, plan):
        found.add(run.plan_file, f"{name}: its {column} is not that of its settings")
    for trial in plan:
        if not trial.name.startswith(identity.safe(f"{trial.training_set}_{trial.condition}")):
            found.add(run.plan_file, f"{trial.name}: the name is not that of its training set and condition")
    names = {trial.name for trial in plan}
    for folder in sorted((run.path / TRIALS).glob("*")):
        if folder.name not in names:
            found.add(folder, "belongs to no trial of plan.tsv")


def check_trial(run: RunDirectory, trial: PlannedTrial, launches: Launches, found: Problems) -> dict[str, str]:
    """Check the files of a trial that has begun; return the checksums of the data that it was trained on, by part."""
    directory = run.trial(trial.name)
    if not directory.path.is_dir():
        return {}
    done = directory.result.exists()
    result: dict[str, Any] = {}
    with found.collecting():
        read_epochs(directory, trial, done)
    with found.collecting():
        result = read_result(directory, trial) if done else {}
    with found.collecting():
        read_failure(directory)
    checksums: dict[str, str] = {}
    with found.collecting():
        checksums = _check_settings(directory, trial, result, launches, found)
    if result and checksums:
        _check_origin(directory, result, checksums, launches, found)
    if result:
        with found.collecting():
            check_predictions(directory, trial, result, found)
    return checksums


def _check_settings(
    directory: TrialDirectory, trial: PlannedTrial, result: Mapping[str, Any], launches: Launches, found: Problems
) -> dict[str, str]:
    """Check that trial.json has the plan's settings, and that their hash is the one in the trial's name."""
    content = directory.read_json(directory.settings)
    if content is None:
        if result or directory.epochs.exists():
            found.add(directory.settings, "missing: nothing says what this was trained on")
        return {}
    settings, checksums = content.get("trial"), content.get("data")
    try:
        trained = Trial.model_validate(settings)
        of_data = _CHECKSUMS.validate_python(checksums)
    except pydantic.ValidationError:
        found.add(directory.settings, "damaged: it holds no settings and checksums of a trial")
        return {}
    if _without_atlas(trained) != _without_atlas(trial.trial):
        found.add(directory.settings, "its settings are not those that plan.tsv has for this trial")
    if trial.data and data_digest(of_data) != trial.data:
        found.add(directory.settings, "its data are not those that the trial was planned for")
    codes = {str(result.get("deepemotion")), *(_code(launch) for launch in launches), __version__}
    assert isinstance(settings, dict)
    procedure = "" if trial.selection is None else trial.selection.procedure
    hashes = {
        identity.digest_of(settings, of_data, code, version, procedure)
        for code in codes
        for version in range(1, FORMAT_VERSION + 1)
    }
    if trial.name.rpartition("_")[2] not in hashes:
        found.add(directory.settings, "the hash in the trial's name is not that of these settings and data")
    return of_data


def _check_origin(
    directory: TrialDirectory,
    result: Mapping[str, Any],
    checksums: Mapping[str, str],
    launches: Launches,
    found: Problems,
) -> None:
    """Check that a result names its labels and code, and that a launch of this code had this data."""
    code = result.get("deepemotion")
    if not isinstance(code, str):
        found.add(directory.result, "does not say which version of the code it comes from")
        return
    if result.get("labels_checksum") != checksums["labels"]:
        found.add(directory.result, "comes from other labels than trial.json says")
    subjects = {part: value for part, value in checksums.items() if part.startswith("sub-")}
    if not any(_had(launch, code, checksums["labels"], subjects) for launch in launches):
        found.add(directory.result, f"no launch in provenance.json had its data and version {code} of the code")


def _had(launch: Mapping[str, Any], code: str, labels: str, subjects: Mapping[str, str]) -> bool:
    known = launch.get("subject_checksums")
    return (
        _code(launch) == code
        and launch.get("labels_checksum") == labels
        and isinstance(known, dict)
        and all(known.get(part.removeprefix("sub-")) == value for part, value in subjects.items())
    )


def _code(launch: Mapping[str, Any]) -> str:
    versions = launch.get("versions")
    return str(versions.get("deepemotion")) if isinstance(versions, dict) else ""


def _without_atlas(trial: Trial) -> Trial:
    """Return the trial without the path of its atlas, whose content is among the checksums."""
    return trial.model_copy(update={"model": trial.model.model_copy(update={"atlas": None})})


def _require_labels(checksums: dict[str, str]) -> dict[str, str]:
    if "labels" not in checksums:
        raise ValueError("no labels")
    return checksums


_CHECKSUMS = pydantic.TypeAdapter(Annotated[dict[str, str], pydantic.AfterValidator(_require_labels)])
