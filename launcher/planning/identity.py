"""The names of trials: their condition, their name, and a hash of everything that determines a result."""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from deepemotion import __version__
from deepemotion.settings.schema import Trial, TrialSettings
from deepemotion.subject_file.format import FORMAT_VERSION
from launcher.planning.facts import AtlasFacts, DataFacts

# Replicates differ in these settings; aggregates average over them.
_REPLICATED = ("train.seed",)


def condition(settings: TrialSettings, swept: dict[str, Any]) -> str:
    """Return the readable part that trials share when they differ only in training set, fold and seed."""
    parts = [f"lr-{settings.train.learning_rate:g}"]
    parts += [
        f"{key}-{value}" for key, value in swept.items() if key != "train.learning_rate" and key not in _REPLICATED
    ]
    return _safe("_".join(parts))


def name(training_set: str, condition: str, trial: Trial, swept: dict[str, Any], digest: str) -> str:
    """Return the trial's name, which is also its folder's; `swept` are the swept settings and their values here."""
    fold, permutation = trial.split.fold, trial.data.permutation
    parts = [training_set, condition]
    parts += [] if fold is None else [f"{trial.split.fold_is}-{fold}"]
    parts += [f"{key.partition('.')[2]}-{swept[key]}" for key in _REPLICATED if key in swept]
    parts += [f"perm-{permutation}"] if permutation else []
    return f"{_safe('_'.join(parts))}_{digest}"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name)


def checksums(subjects: Sequence[str], data: DataFacts, atlas: AtlasFacts | None) -> dict[str, str]:
    """Return what `trial_data.data_checksums` will find when the trial runs."""
    own = {f"sub-{subject}": data.subjects[subject].checksum for subject in subjects}
    return {"labels": data.labels_checksum, **({"atlas": atlas.checksum} if atlas else {}), **own}


def digest(trial: Trial, data: DataFacts, atlas: AtlasFacts | None) -> str:
    """Return a hash of everything that determines the trial's result: of an atlas its content, not its path."""
    settings = trial.model_dump(mode="json")
    if atlas is not None:
        settings["model"]["atlas"] = atlas.checksum
    content = {
        "trial": settings,
        "subjects": {subject: data.subjects[subject].checksum for subject in (*trial.subjects, *trial.unseen_subjects)},
        "labels": data.labels_checksum,
        "format": FORMAT_VERSION,
        "code": __version__,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
