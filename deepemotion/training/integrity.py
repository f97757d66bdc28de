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

# Without these, nothing can be made of a result.
_REQUIRED = (
    *("accuracy_train", "accuracy_validation", "label_only_accuracy", "majority_accuracy", "chance"),
    *("epochs", "n_train", "n_validation", "classes"),
)
# The beginnings of the names of numbers in [0, 1] and in [0, 2], and of counts.
_SHARES = ("accuracy_", "balanced_accuracy_", "macro_f1_", "ece_", "label_only_accuracy", "majority_accuracy", "chance")
_UP_TO_TWO = ("brier_",)
_COUNTS = ("n_", "epochs", "best_epoch", "classes_missing_")
# Scores are sums of float32 numbers, whose rounding may exceed the limit.
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
        if name.startswith((*_SHARES, *_UP_TO_TWO, *_COUNTS)) and not is_number:
            raise ValueError(f"{name} is {value!r}")
        if is_number and not math.isfinite(value):
            raise ValueError(f"{name} is {value}")
        limit = 1 if name.startswith(_SHARES) else 2 if name.startswith(_UP_TO_TWO) else math.inf
        if is_number and limit < math.inf and not 0 <= value <= limit + _ROUNDING:
            raise ValueError(f"{name} is {value}")
        if name.startswith(_COUNTS) and (value < 0 or value != int(value)):
            raise ValueError(f"{name} is {value}")
    names = result["classes"]
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise ValueError(f"classes is {names!r}")


def require_epochs(epochs: Sequence[Mapping[str, float]]) -> None:
    """Raise ValueError where an epoch is missing, or there more than once."""
    for number, metrics in enumerate(epochs, start=1):
        if "epoch" not in metrics:
            raise ValueError("no column epoch")
        if metrics["epoch"] != number:
            raise ValueError(f"row {number} is epoch {metrics['epoch']:g}")


def require_file(path: Path, result: Mapping[str, Any]) -> None:
    """Raise ValueError where a file that belongs to a result is not as it was written; OSError where it is missing."""
    recorded = result.get(FILES, {})
    actual = file_checksum(path)
    if not isinstance(recorded, dict) or recorded.get(path.name, actual) != actual:
        raise ValueError("its content does not match the checksum in result.json")
