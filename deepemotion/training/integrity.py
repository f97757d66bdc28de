"""Checks of what a training has stored: whether result.json and epochs.tsv are as they were written, and possible.

result.json has the SHA-256 of predictions.parquet and epochs.tsv under `sha256`, and its own under `checksum`. Results
of earlier versions have neither: only their numbers are checked.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CHECKSUM, FILES = "checksum", "sha256"

# Without these, nothing can be said of a trial.
_REQUIRED = ("accuracy_train", "accuracy_validation", "epochs")
# The beginnings of the names of numbers in [0, 1], in [0, 2], and of counts.
_SHARES = ("accuracy_", "balanced_accuracy_", "macro_f1_", "ece_", "label_only_accuracy", "majority_accuracy", "chance")
_BRIER = "brier_"
_COUNTS = ("n_", "epochs", "best_epoch", "classes_missing_")
# Of sums of float32 numbers.
_ROUNDING = 1e-6


def checksum(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON object without its own checksum, whatever the order and the layout of the file."""
    rest = {key: value for key, value in content.items() if key != CHECKSUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def file_checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_own_checksum(content: Mapping[str, Any]) -> None:
    """Raise ValueError where a JSON object has a checksum, and not its own."""
    if CHECKSUM in content and content[CHECKSUM] != checksum(content):
        raise ValueError("its content does not match its checksum")


def require_possible(result: Mapping[str, Any]) -> None:
    """Raise ValueError where the content of a result.json lacks something, or cannot be true."""
    missing = [name for name in _REQUIRED if name not in result]
    if missing:
        raise ValueError(f"no {missing[0]}")
    for name, value in result.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if name.startswith((*_SHARES, _BRIER, *_COUNTS)) and not is_number:
            raise ValueError(f"{name} is no number")
        if is_number and not _is_possible(name, value):
            raise ValueError(f"{name} is {value:g}")
    if not isinstance(result.get("missing", ""), str):
        raise ValueError("missing is no text")


def _is_possible(name: str, value: float) -> bool:
    if name.startswith((*_SHARES, _BRIER)):
        return 0 <= value <= (2 if name.startswith(_BRIER) else 1) + _ROUNDING
    if name.startswith(_COUNTS):
        return value >= 0 and value == value // 1 < math.inf
    return math.isfinite(value)


def require_epochs(epochs: Sequence[Mapping[str, float]], count: int) -> None:
    """Raise ValueError where the metrics are not those of the epochs from 1 to `count`, each of them once."""
    if len(epochs) != count:
        raise ValueError(f"{len(epochs)} epochs where result.json has {count}")
    for number, metrics in enumerate(epochs, start=1):
        if metrics.get("epoch") != number:
            raise ValueError(f"row {number} is not epoch {number}")


def recorded_files(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of each file that a result recorded, none for one of an earlier version."""
    return dict(result.get(FILES, {}))
