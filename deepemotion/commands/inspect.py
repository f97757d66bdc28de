"""`deepemotion inspect`: shows what packed subject files hold."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepemotion.console import answer

if TYPE_CHECKING:
    from deepemotion.subject_file.reader import SubjectFile


def inspect(files: Annotated[list[Path], typer.Argument(help="Packed files, sub-XX.h5.")]) -> None:
    """Show subject, voxels, runs and sources of packed files; reads no volume."""
    from deepemotion.subject_file.reader import SubjectFile

    for path in files:
        with SubjectFile(path) as file:
            answer(_describe(file))


def _describe(file: "SubjectFile") -> str:
    header = file.header
    nominal = {segment.run: round((segment.end - segment.start) / header.tr) for segment in header.segments}
    lines = [
        f"{file.path}: sub-{header.subject} of {header.dataset}, {file.path.stat().st_size / 1e6:.1f} MB",
        f"  {file.total} volumes of {file.voxels} voxels in {' x '.join(map(str, file.shape))}, TR {header.tr:g} s,"
        f" compression {header.compression}",
        f"  packed {header.created}, format {header.format_version}, {header.checksum}",
    ]
    for run in header.runs:
        short = f" of {nominal[run.run]} (short)" if run.volumes < nominal[run.run] else ""
        lossy = f", largest error {run.largest_error:.3g}" if run.largest_error else ""
        zeroed = f", {run.not_finite} voxels not finite, zeroed" if run.not_finite else ""
        lines.append(
            f"  run {run.run}: {run.volumes}{short} volumes, {run.dtype}, slope {run.slope:g},"
            f" intercept {run.intercept:g}{lossy}{zeroed}, from {run.source.name}"
        )
    return "\n".join(lines)
