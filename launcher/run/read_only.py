"""Results of a run whose folder cannot be written: somebody else's, on a full disk, or in an archive."""

import os
import tempfile
from pathlib import Path

from deepemotion.console import warn
from deepemotion.errors import UserError
from deepemotion.files import write_text
from launcher.run.directory import RunDirectory


def with_writable_results(run: RunDirectory) -> RunDirectory:
    """Return the run; if its folder cannot be written, with tables and report in a temporary folder, and say so."""
    probe = run.tables / f".probe-{os.getpid()}"
    try:
        run.require_writable()
        write_text(probe, "")
        probe.unlink(missing_ok=True)
    except UserError as error:
        reader = RunDirectory(run.path)
        folder = Path(tempfile.mkdtemp(prefix=f"{run.path.name}-"))
        reader.tables, reader.report = folder / "tables", folder / "report.html"
        reader.tensorboard = folder / "tensorboard"
        warn(f"{error}; tables and report are written to {folder}")
        return reader
    return run
