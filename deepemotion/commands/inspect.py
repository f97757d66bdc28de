"""`deepemotion inspect`: shows what packed subject files hold."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepemotion.console import AsJson, answer, answer_json, table

if TYPE_CHECKING:
    from deepemotion.subject_file.reader import SubjectFile


# A line has room for these columns.
_MOST_NAMED = 8


def inspect(
    files: Annotated[list[Path], typer.Argument(help="Packed files, sub-XX.h5 or controls_sub-XX.h5.")],
    as_json: AsJson = False,
) -> None:
    """Show the subject, voxels, runs, data quality and sources of packed files, without reading volumes."""
    from deepemotion.subject_file.control_file import is_control_file
    from deepemotion.subject_file.reader import SubjectFile

    if as_json:
        answer_json([_controls_content(path) if is_control_file(path) else _content(path) for path in files])
        return
    for path in files:
        if is_control_file(path):
            answer(_describe_controls(path))
            continue
        with SubjectFile(path) as file:
            answer(_describe(file))


def _controls_content(path: Path) -> dict[str, Any]:
    from deepemotion.subject_file.control_file import ControlFile

    with ControlFile(path) as file:
        checksums = {control: file.checksum(control) for control in file.header.controls}
        own = {"file": str(path), "kind": "controls", "bytes": path.stat().st_size, "checksums": checksums}
        return own | file.header.model_dump(mode="json")


def _content(path: Path) -> dict[str, Any]:
    from deepemotion.subject_file import summary
    from deepemotion.subject_file.reader import SubjectFile

    with SubjectFile(path) as file:
        header = file.header
        own = {"file": str(path), "kind": "subject", "bytes": path.stat().st_size, "volumes": file.total}
        own |= {"voxels": file.voxels, "shape": file.shape, "expected_volumes": summary.expected_volumes(header)}
        return own | header.model_dump(mode="json") | {"notes": summary.notes(header)}


def _describe_controls(path: Path) -> str:
    from deepemotion.subject_file.control_file import ControlFile

    with ControlFile(path) as file:
        header = file.header
        lines = [f"{path}: controls of sub-{header.subject} of {header.dataset}, {path.stat().st_size / 1e6:.1f} MB"]
        for control, parts in header.controls.items():
            columns = [name for part in parts for name in part.columns]
            more = f" and {len(columns) - _MOST_NAMED} more" if len(columns) > _MOST_NAMED else ""
            lines.append(f"  {control}: {', '.join(columns[:_MOST_NAMED])}{more}; {file.checksum(control)}")
        return "\n".join([*lines, *(f"  note: {note}" for note in header.notes)])


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
