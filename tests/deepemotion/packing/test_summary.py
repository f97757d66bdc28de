"""What packing found in the data is recorded and shown: the TR of the headers, constant voxels, precision, notes."""

import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nifti_dataset import SHAPE, SmallDataset, bold, half_mask, nifti_bytes, write

from deepemotion.console import table
from deepemotion.subject_file import summary
from deepemotion.subject_file.options import NanRule
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.repetition_time import agree, header_seconds

SEC, MSEC, USEC = 8, 16, 24


def write_tr(small: SmallDataset, run: int, step: float, unit: int) -> None:
    content = bytearray(nifti_bytes(bold(20, seed=run)))
    struct.pack_into("<f", content, 76 + 4 * 4, step)
    content[123] = 2 | unit
    write(small.run_path(run), bytes(content))


@pytest.mark.parametrize(
    ("step", "unit", "described", "expected"),
    [
        (2.0, 1.0, 2.0, 2.0),
        (2000.0, 1e-3, 2.0, 2.0),
        (2e6, 1e-6, 2.0, 2.0),
        (2000.0, 1.0, 2.0, 2.0),
        (2000.0, None, 2.0, 2.0),
        (2.0, 1e-3, 2.0, 2.0),
        (2e6, None, 2.0, 2.0),
        (float(np.float32(1.3)), 1.0, 1.3, 1.3),
        (1.0, 1.0, 2.0, None),
        (1.0, 1e-3, 2.0, None),
        (1.0, None, 1.0, 1.0),
        (0.0, 1.0, 2.0, None),
        (1.52, 1.0, 2.0, 1.52),
        (1520.0, 1e-3, 2.0, 1.52),
        (1520.0, None, 2.0, 1.52),
        (1520.0, 1.0, 2.0, 1.52),
        (1.52, 1e-3, 2.0, 1.52),
        (3.0, None, 2.0, 3.0),
        (2.02, 1.0, 2.0, 2.02),
        (1e30, 1.0, 2.0, None),
    ],
)
def test_the_tr_of_a_header_in_seconds(
    step: float, unit: float | None, described: float, expected: float | None
) -> None:
    seconds = header_seconds(step, unit, described)
    assert seconds == (expected if expected is None else pytest.approx(expected, rel=1e-6))
    assert agree(seconds, described) == (expected is None or expected == described)


@given(described=st.floats(0.1, 20), unit=st.sampled_from([1.0, 1e-3, 1e-6]), named=st.booleans())
def test_a_true_tr_is_no_contradiction_in_any_unit(described: float, unit: float, named: bool) -> None:
    step = float(np.float32(described / unit))
    assert agree(header_seconds(step, unit if named else None, described), described)


def test_a_header_with_another_tr_is_noted_and_the_description_decides(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=4)
    for run, (step, unit) in enumerate([(1.52, SEC), (1520.0, MSEC), (1000.0, MSEC), (0.0, 0)], start=1):
        write_tr(small, run, step, unit)
    header = small.pack().header
    assert [run.header_tr for run in header.runs] == [pytest.approx(1.52), pytest.approx(1.52), 1.0, None]
    with SubjectFile(small.packed) as file:
        assert file.movie_time[1] == 1
        shown = summary.lines(file.header, file.voxels, file.shape)
    assert "TR: 1 s; in the NIfTI headers: 1.52 s (run 1), 1.52 s (run 2), 1 s (run 3), none (run 4)" in shown
    notes = summary.notes(header)
    assert len(notes) == 1
    assert re.search(r"sub-01 runs 1, 2: the TR is 1\.52 s in the NIfTI header but 1 s in the description", notes[0])
    # A run that is kept has the TR of its header all the same.
    small.write_run(4, bold(20, seed=9))
    again = small.pack()
    assert (again.kept, again.header.runs[1].header_tr) == ([1, 2, 3], pytest.approx(1.52))


def test_what_a_summary_shows(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, runs=2)
    data = bold(13, dtype="<f4") + np.random.default_rng(0).random((*SHAPE, 13), dtype="f4")
    first, second, third = (tuple(place) for place in np.argwhere(half_mask())[:3])
    data[first] = 5
    data[second] = np.nan
    data[(*third, 4)] = np.inf
    small.write_run(2, data)
    packed = small.pack(nan=NanRule.ZERO)
    voxels = half_mask().sum()
    lines = summary.lines(packed.header, packed.voxels, packed.shape)
    assert lines[0] == f"mask: {voxels} of 60 voxels; constant over a run: 0 (run 1), 2 (run 2)"
    assert lines[1] == "volumes: 33 of 40 expected; by run: 20 13"
    assert re.fullmatch(
        r"precision: largest error [\d.e-]+ SD of a voxel \(bound 3\.9e-05\); no value was clipped", lines[3]
    )
    assert lines[4] == "values that were not finite: 14, stored as 0"
    assert summary.notes(packed.header) == [
        "sub-01 run 2: 13 of 20 volumes: a short run is kept as it is",
    ]
    rows = summary.run_rows(packed.header)
    assert rows[1][:7] == ["1", "20", "20", "1 s", "int16", "0", "0"]
    assert rows[2][:7] == ["2", "13", "20", "1 s", "float32", "2", "14"]
    with SubjectFile(small.packed) as file:
        rows = summary.subject_rows([file])
    assert rows[1][:7] == ["01", str(voxels), "0 (run 1), 2 (run 2)", "33 of 40", "1 s", "1 s", "14"]
    assert len(table(rows).splitlines()) == 2
