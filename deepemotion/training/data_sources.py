"""`sources.json`: where the data of a folder of trainings is stored.

A run has `sources.json` beside `trials/`, so that jobs which start later and on other machines find the data, and so do
commands that look at a trial afterwards.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from deepemotion.errors import UserError
from deepemotion.files import read_json, readable, write_text

_FILE = "sources.json"


@dataclass(frozen=True)
class Sources:
    """The folder of packed subjects, and the file of labels."""

    packed: Path
    labels: Path

    def write(self, folder: Path) -> None:
        """Record them, as absolute paths, for the trainings below `folder`."""
        paths = {"packed": str(self.packed.resolve()), "labels": str(self.labels.resolve())}
        write_text(folder / _FILE, json.dumps(paths, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Sources":
        """Return those recorded in `folder`. Raises UserError if there are none."""
        path = folder / _FILE
        remedy = "delete it, and launch into this run again"
        paths = read_json(path, remedy)
        if paths is None:
            raise UserError(f"{path}: missing; launch into this run again")
        with readable(path, remedy):
            return cls(Path(paths["packed"]), Path(paths["labels"]))
