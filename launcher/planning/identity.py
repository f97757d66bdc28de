"""The names of trials: their condition, their name, and a hash of everything that determines a result."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from deepemotion import __version__
from deepemotion.settings.schema import DataSettings, Trial, TrialSettings, described
from deepemotion.subject_file.format import FORMAT_VERSION
from deepemotion.training.checksums import CONFOUNDS, CONTROLS, packed_controls
from launcher.planning.facts import AtlasFacts, DataFacts

# Replicates differ in these settings; aggregates average over them.
REPLICATED = ("train.seed",)
_LEARNING_RATE = "train.learning_rate"


def condition(settings: TrialSettings, swept: dict[str, Any]) -> str:
    """Return the readable part that trials share when they differ only in training set, fold and seed."""
    control = settings.data.control
    parts = [part(_LEARNING_RATE, settings.train.learning_rate) if control is None else f"control-{control}"]
    parts += [part(key, value) for key, value in swept.items() if key != _LEARNING_RATE and key not in REPLICATED]
    return safe("_".join(parts))


def nested_condition(settings: TrialSettings, chosen: Collection[str]) -> str:
    """Return the condition of the trials whose settings were chosen by inner folds: what their sweep did not choose."""
    return "nested" if _LEARNING_RATE in chosen else f"nested_{part(_LEARNING_RATE, settings.train.learning_rate)}"


def part(key: str, value: Any) -> str:
    """Return what the value of a swept setting adds to a condition's name."""
    return f"{prefix(key)}{value:g}" if key == _LEARNING_RATE else f"{prefix(key)}{text(value)}"


def text(value: Any) -> str:
    """Return the value of a setting as it is written on the command line, of several names as `motion+physio`."""
    return "+".join(map(str, value)) or "none" if isinstance(value, list | tuple) else str(value)


def prefix(key: str) -> str:
    """Return what stands before the value of a swept setting in a condition's name."""
    return "lr-" if key == _LEARNING_RATE else f"{key}-"


def name(training_set: str, condition: str, trial: Trial, swept: dict[str, Any], digest: str) -> str:
    """Return the trial's name, which is also its folder's; `swept` are the swept settings and their values here."""
    fold, outer, permutation = trial.split.fold, trial.split.outer, trial.data.permutation
    parts = [training_set, condition]
    parts += [] if outer is None else [f"outer-{outer}"]
    parts += [] if fold is None else [f"{trial.split.fold_is}-{fold}"]
    parts += [f"{key.partition('.')[2]}-{swept[key]}" for key in REPLICATED if key in swept]
    parts += [f"perm-{permutation}"] if permutation else []
    return f"{safe('_'.join(parts))}_{digest}"


def name_of_point(name: str, over: str, size: int, draw: int) -> str:
    """Return the name of a trial that trains on a part of the runs or subjects, from that of the same on all."""
    stem, _, digest = name.rpartition("_")
    return f"{stem}_{over}-{size}{f'_draw-{draw}' if draw > 1 else ''}_{digest}"


def safe(name: str) -> str:
    """Return the name with a hyphen for everything that has no place in the name of a folder."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name)


def checksums(
    subjects: Sequence[str], data: DataFacts, atlas: AtlasFacts | None, settings: DataSettings
) -> dict[str, str]:
    """Return what `checksums.data_checksums` will find when a trial with these settings runs."""
    found = {"labels": data.labels_checksum}
    if atlas is not None:
        found["atlas"] = atlas.checksum
    for subject in subjects:
        facts = data.subjects[subject]
        found[f"sub-{subject}"] = facts.checksum
        controls = packed_controls(settings, subject)
        found |= {part: facts.controls[name] for part, name in controls.items() if name in facts.controls}
    return found


def digest(settings: Mapping[str, Any], trial: Trial, checksums: Mapping[str, str], procedure: str = "") -> str:
    """Return a hash of everything that determines the trial's result: of an atlas its content, not its path.

    `settings` are the sections of the trial as plain values. They may be those of another fold and permutation, so that
    they need not be dumped for each. `procedure` is that of `digest_of`.
    """
    own = {
        "split": {**settings["split"], "fold": trial.split.fold, "outer": trial.split.outer},
        "data": {**settings["data"], "permutation": trial.data.permutation},
        "subjects": trial.subjects,
        "unseen_subjects": trial.unseen_subjects,
    }
    return digest_of({**settings, **own}, checksums, __version__, FORMAT_VERSION, procedure)


def digest_of(
    settings: Mapping[str, Any], checksums: Mapping[str, str], code: str, format_version: int, procedure: str = ""
) -> str:
    """Return the hash of a trial from its settings as plain values and the `checksums` of all that it reads.

    `code` is the version that planned it, and `format_version` that version's format of packed files. `procedure` is
    that of the `nested.Selection` which chose its settings: trials of two procedures are never one, so that each
    procedure has all of its folds whatever the other chose.
    """
    if "atlas" in checksums:
        settings = {**settings, "model": {**settings["model"], "atlas": checksums["atlas"]}}
    content = {
        "trial": described(settings),
        "subjects": {name.removeprefix("sub-"): value for name, value in checksums.items() if name.startswith("sub-")},
        "labels": checksums["labels"],
        "format": format_version,
        "code": code,
    }
    for key, beginning in (("controls", CONTROLS), ("confounds", CONFOUNDS)):
        of_kind = {name: value for name, value in checksums.items() if name.startswith(beginning)}
        if of_kind:
            content[key] = of_kind
    if procedure:
        content["procedure"] = procedure
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
