"""Summarises what packing found in a subject's data and did to them: as lines, as notes, and as rows of a table."""

import math
from collections.abc import Iterable, Sequence

from deepemotion.subject_file.format import Header, RunRecord
from deepemotion.subject_file.quantisation import error_bound
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.repetition_time import agree

_UNKNOWN = "unknown"


def lines(header: Header, voxels: int, shape: Sequence[int]) -> list[str]:
    """Return a block of a few lines: mask, volumes, TR, precision, and values that are not finite.

    `voxels` are those inside the mask, `shape` is that of a whole volume.
    """
    constant = _by_run(header, [run.constant_voxels for run in header.runs])
    volumes, expected = [run.volumes for run in header.runs], sum(expected_volumes(header).values())
    stated = _by_run(header, [None if run.header_tr is None else f"{run.header_tr:g} s" for run in header.runs])
    not_finite = sum(run.not_finite for run in header.runs)
    return [
        f"mask: {voxels} of {math.prod(shape)} voxels; constant over a run: {constant}",
        f"volumes: {sum(volumes)} of {expected} expected; by run: {' '.join(map(str, volumes))}",
        f"TR: {header.tr:g} s; in the NIfTI headers: {stated}",
        f"precision: {_precision(header.runs)}; no value was clipped",
        f"values that were not finite: {f'{not_finite}, stored as 0' if not_finite else 'none'}",
    ]


def notes(header: Header) -> list[str]:
    """Return what deserves attention, a sentence each: short runs, another TR in a header, how files were read."""
    expected = expected_volumes(header)
    short = [
        f"run {run.run}: {run.volumes} of {expected[run.run]} volumes: a short run is kept as it is"
        for run in header.runs
        if run.volumes < expected[run.run]
    ]
    contradicting: dict[str, list[int]] = {}
    for run in header.runs:
        if run.header_tr is not None and not agree(run.header_tr, header.tr):
            contradicting.setdefault(f"{run.header_tr:g}", []).append(run.run)
    trs = [
        f"run{'s' if len(runs) > 1 else ''} {', '.join(map(str, runs))}: the TR is {stated} s in the NIfTI header but"
        f" {header.tr:g} s in the description of {header.dataset}, which decides the movie times; check which is right"
        for stated, runs in contradicting.items()
    ]
    return [f"sub-{header.subject} {sentence}" for sentence in short + trs] + [
        f"sub-{header.subject}: {sentence}" for sentence in header.notes
    ]


def run_rows(header: Header) -> list[list[str]]:
    """Return a row of text for each run of a subject, below a row of column titles, for `console.table`."""
    expected = expected_volumes(header)
    rows = [["run", "volumes", "expected", "header's TR", "type", "constant", "not finite", "largest error", "file"]]
    for run in header.runs:
        rows.append(
            [
                str(run.run),
                str(run.volumes),
                str(expected[run.run]),
                "none" if run.header_tr is None else f"{run.header_tr:g} s",
                run.dtype,
                _known(run.constant_voxels),
                str(run.not_finite),
                _error(run),
                run.source.name,
            ]
        )
    return rows


def subject_rows(files: Iterable[SubjectFile]) -> list[list[str]]:
    """Return a row of text for each subject, below a row of column titles, for `console.table`; reads no volume."""
    rows = [["subject", "voxels", "constant", "volumes", "TR", "headers' TR", "not finite", "largest error (bound)"]]
    for file in files:
        header = file.header
        stated = [None if run.header_tr is None else f"{run.header_tr:g} s" for run in header.runs]
        rows.append(
            [
                header.subject,
                str(file.voxels),
                _by_run(header, [run.constant_voxels for run in header.runs]),
                f"{file.total} of {sum(expected_volumes(header).values())}",
                f"{header.tr:g} s",
                _by_run(header, stated),
                str(sum(run.not_finite for run in header.runs)),
                _precision(header.runs),
            ]
        )
    return rows


def expected_volumes(header: Header) -> dict[int, int]:
    """Return the number of volumes of each run if it is complete."""
    return {segment.run: round((segment.end - segment.start) / header.tr) for segment in header.segments}


def _by_run(header: Header, values: Sequence[int | str | None]) -> str:
    """Return a value for each run as text, only one if it is the same in all."""
    if header.format_version == 1:
        return _UNKNOWN
    texts = ["none" if value is None else str(value) for value in values]
    if len(set(texts)) == 1:
        return texts[0]
    return ", ".join(f"{text} (run {run.run})" for text, run in zip(texts, header.runs, strict=True))


def _precision(runs: Sequence[RunRecord]) -> str:
    rounded = [run for run in runs if run.largest_error]
    if not rounded:
        return "exact"
    errors = [run.largest_error_sd for run in rounded if run.largest_error_sd is not None]
    if len(errors) < len(rounded):
        return f"largest error {max(run.largest_error for run in rounded):.3g}, unknown in SD; pack again to know it"
    worst = max(rounded, key=lambda run: run.largest_error_sd or 0.0)
    return f"largest error {worst.largest_error_sd:.2g} SD of a voxel (bound {error_bound(worst.volumes):.2g})"


def _error(run: RunRecord) -> str:
    if not run.largest_error:
        return "exact"
    return f"{run.largest_error:.3g}" + ("" if run.largest_error_sd is None else f" ({run.largest_error_sd:.2g} SD)")


def _known(value: int | None) -> str:
    return _UNKNOWN if value is None else str(value)
