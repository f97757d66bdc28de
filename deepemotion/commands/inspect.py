"""`deepemotion inspect`: shows what packed subject files hold."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepemotion.console import answer, table

if TYPE_CHECKING:
    from deepemotion.subject_file.reader import SubjectFile


def inspect(files: Annotated[list[Path], typer.Argument(help="Packed files, sub-XX.h5.")]) -> None:
    """Show the subject, voxels, runs, data quality and sources of packed files, without reading volumes."""
    from deepemotion.subject_file.reader import SubjectFile

    for path in files:
        with SubjectFile(path) as file:
            answer(_describe(file))


def _describe(file: "SubjectFile") -> str:
    from deepemotion.subject_file import summary

    header = file.header
    return "\n".join(
        [
            f"{file.path}: sub-{header.subject} of {header.dataset}, {file.path.stat().st_size / 1e6:.1f} MB",
            f"  {file.total} volumes of {file.voxels} voxels in {' x '.join(map(str, file.shape))}, TR {header.tr:g} s,"
            f" compression {header.compression}",
            f"  packed {header.created}, format {header.format_version}, {header.checksum}",
            *(f"  {line}" for line in summary.lines(header, file.voxels, file.shape)),
            *(f"  note: {note}" for note in summary.notes(header)),
            *(f"  {line}" for line in table(summary.run_rows(header)).splitlines()),
        ]
    )
