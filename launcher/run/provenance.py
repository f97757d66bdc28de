"""The provenance of a launch: code, versions, host, command line and data, for the run's provenance.json."""

import importlib.metadata
import platform
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import deepemotion
from launcher.planning.facts import DataFacts

_PACKAGES = ("torch", "ray", "numpy", "pandas", "h5py", "nibabel")


def collect(data: DataFacts) -> dict[str, Any]:
    """Return the provenance of a launch that starts now, as plain values."""
    source = Path(deepemotion.__file__).resolve().parent.parent
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "versions": {
            # Of the code that runs: what is installed from a checkout may be recorded under an earlier version.
            "deepemotion": deepemotion.__version__,
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
        "git_commit": _git(source, "rev-parse", "HEAD"),
        "git_diff": _git(source, "diff", "HEAD"),
        "labels_checksum": data.labels_checksum,
        "subject_checksums": {subject: facts.checksum for subject, facts in data.subjects.items()},
        "control_checksums": {subject: dict(facts.controls) for subject, facts in data.subjects.items()},
    }


def _git(source: Path, *arguments: str) -> str | None:
    """Return git's output about the checkout that the code runs from; None for an installed package or without git."""
    if not (source / ".git").exists():
        return None
    try:
        completed = subprocess.run(["git", "-C", str(source), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return completed.stdout.strip()
