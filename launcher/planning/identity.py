"""What trials are called: their condition, their protocol, and hashes of all that determines a result."""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from deepemotion import __version__
from deepemotion.settings.schema import TrialSettings
from deepemotion.subject_file.format import FORMAT_VERSION
from launcher.planning.facts import AtlasFacts, DataFacts

# What a replicate differs in: aggregates average over it.
REPLICATED = ("train.seed",)


def protocol(split: str, held_out: bool) -> str:
    """Return the protocol's name in tables: what is held out, of the movie and of the subjects."""
    if split == "random" or not held_out:
        return split
    return {"block": "subject", "run": "run x subject"}[split]


def condition(settings: TrialSettings, chosen: dict[str, Any]) -> str:
    """Return the readable part that trials share when they differ only in training set, fold and seed."""
    parts = [f"lr-{settings.train.learning_rate:g}"]
    parts += [
        f"{key}-{value}" for key, value in chosen.items() if key != "train.learning_rate" and key not in REPLICATED
    ]
    return safe_name("_".join(parts))


def safe_name(name: str) -> str:
    """Return the name with all that a folder had better not have in its name replaced by a dash."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name)


def checksums(subjects: Sequence[str], data: DataFacts, atlas: AtlasFacts | None) -> dict[str, str]:
    """Return what `trial_data.data_checksums` will find when the trial runs."""
    own = {f"sub-{subject}": data.subjects[subject].checksum for subject in subjects}
    return {"labels": data.labels_checksum, **({"atlas": atlas.checksum} if atlas else {}), **own}


def identity(trial: dict[str, Any], subjects: Sequence[str], data: DataFacts, atlas: AtlasFacts | None) -> str:
    """Return a hash of everything that determines the trial's result: of an atlas its content, not where it lies."""
    if atlas is not None:
        trial = {**trial, "model": {**trial["model"], "atlas": atlas.checksum}}
    content = {
        "trial": trial,
        "subjects": {subject: data.subjects[subject].checksum for subject in subjects},
        "labels": data.labels_checksum,
        "format": FORMAT_VERSION,
        "code": __version__,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
