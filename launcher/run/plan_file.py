"""plan.tsv: the trials planned in a run, one per row."""

import json
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from deepemotion.errors import UserError
from deepemotion.files import whole_lines, write_text
from launcher.planning.plan import PlannedTrial

_READ: dict[str, Callable[[str], Any]] = {
    "fold": lambda cell: int(cell) if cell else None,
    "permutation": int,
    "learning_rate": float,
    "seed": int,
    "memory_bytes": int,
    "work": float,
    "settings": json.loads,
}


def write(path: Path, trials: Iterable[PlannedTrial]) -> None:
    """Write the plan, whole or not at all."""
    lines = ["\t".join(field.name for field in fields(PlannedTrial))]
    lines += ["\t".join(_cell(getattr(trial, field.name)) for field in fields(PlannedTrial)) for trial in trials]
    write_text(path, "\n".join(lines) + "\n")


def read(path: Path) -> list[PlannedTrial]:
    """Return the planned trials in the file's order, none where there is no file.

    Raises UserError for a file that is truncated or not a plan.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    try:
        header, *lines = whole_lines(text)
        rows = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
        return [PlannedTrial(**{key: _READ.get(key, str)(cell) for key, cell in row.items()}) for row in rows]
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{path}: not a plan as this version writes it ({error}); put it aside and launch again"
        ) from error


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, dict) else str(value)
