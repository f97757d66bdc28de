"""Whether a run's tables are those of its results. Does without pandas, which a finished run needs not load."""

import hashlib
from contextlib import suppress

from launcher.run.directory import RunDirectory
from launcher.tables import stored


def are_current(run: RunDirectory) -> bool:
    """Return whether the tables were made from the plan and the results that there are now, and are undamaged."""
    names = ("epochs.parquet", "trials.csv")
    return stored.is_current(run.tables / "trials.parquet", content_digest(run)) and all(
        (run.tables / name).is_file() and stored.is_intact(run.tables / name) for name in names
    )


def content_digest(run: RunDirectory) -> str:
    """Return a digest of the run's plan and results; files' times say nothing where a clock was set or files copied."""
    digest = hashlib.sha256()
    with suppress(FileNotFoundError):
        digest.update(run.plan_file.read_bytes())
    for trial in run.read_plan():
        with suppress(FileNotFoundError):
            result = run.trial(trial.name).result.read_bytes()
            digest.update(f"{trial.name}\t{hashlib.sha256(result).hexdigest()}\n".encode())
    return digest.hexdigest()
