"""Where the data of a folder of trainings lies: its file `sources.json`.

A run has `sources.json` beside `trials/`: jobs that start later and elsewhere find the data by it, and so does whoever
looks at a trial afterwards.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deepemotion.errors import UserError
from deepemotion.files import read_json, readable, write_text
from deepemotion.training.trial_directory import TrialDirectory

TRIALS = "trials"
_FILE = "sources.json"


@dataclass(frozen=True)
class Sources:
    """The folder of packed subjects, and the labels' file."""

    packed: Path
    labels: Path

    def write(self, folder: Path) -> None:
        """Record them, as absolute paths, for the trainings below `folder`."""
        paths = {"packed": str(self.packed.resolve()), "labels": str(self.labels.resolve())}
        write_text(folder / _FILE, json.dumps(paths, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Sources":
        """Return those recorded in `folder`. Raises UserError where there are none."""
        path = folder / _FILE
        remedy = "delete it, and launch into this run again"
        paths = read_json(path, remedy)
        if paths is None:
            raise UserError(f"{path}: missing; launch into this run again")
        with readable(path, remedy):
            return cls(Path(paths["packed"]), Path(paths["labels"]))


def data_digest(checksums: Mapping[str, str]) -> str:
    """Return 16 hexadecimal digits for the content of all that a training reads, by the checksum of each part."""
    return hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()[:16]


def is_run(folder: Path) -> bool:
    """Say whether a folder is that of a run, with trainings below it."""
    return (folder / TRIALS).is_dir()


def find_trial(folder: Path, beginning: str) -> TrialDirectory:
    """Return the only training below `folder` whose name begins so, or has this very name.

    Raises UserError where there is none, or where several begin so.
    """
    if not is_run(folder):
        raise UserError(f"{folder}: no run here (it has no folder {TRIALS}); give the folder runs/NAME of a launch")
    names = sorted(path.name for path in (folder / TRIALS).glob("*/") if path.name.startswith(beginning))
    if len(names) != 1 and beginning not in names:
        several = f"{len(names)} trials begin so: {', '.join(names[:5])}" if names else "no trial that has begun"
        raise UserError(f"{beginning}: {several} in {folder / TRIALS}")
    return TrialDirectory(folder / TRIALS / (beginning if beginning in names else names[0]))
