"""The files that controls are made of: what happens where one is missing, and which are rejected."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from control_dataset import EVENTS, SOURCES, describe, with_controls
from hypothesis import given, settings
from hypothesis import strategies as st
from nifti_dataset import nifti_bytes, write

from deepemotion.errors import UserError
from deepemotion.packing.control_tables import numbers
from deepemotion.subject_file.control_file import ControlFile


@pytest.mark.parametrize(
    ("spoil", "control", "reason"),
    [
        (lambda root: (root / "sub-01_run-2_moco.txt").unlink(), "motion", "run-2_moco.txt not found"),
        (
            lambda root: (root / "task-film_physio.json").unlink(),
            "physio",
            "has no JSON file, beside it or",
        ),
        (
            lambda root: (root / "phantom_run-2.nii.gz").write_text("/annex/objects/MD5E-s5--ab.nii.gz\n"),
            "phantom",
            "phantom_run-2.nii.gz was not downloaded",
        ),
    ],
)
def test_a_control_that_lacks_a_file_is_left_out(
    tmp_path: Path, spoil: Callable[[Path], object], control: str, reason: str
) -> None:
    small = with_controls(tmp_path)
    spoil(tmp_path)
    controls = small.pack().controls
    assert control not in controls.names
    assert reason in controls.left_out[control]
    with ControlFile(small.controls) as file, pytest.raises(UserError, match=f"sub-01: no control {control} in"):
        file.series(control)


def test_pack_says_which_controls_are_missing(tmp_path: Path, command: Callable[..., object]) -> None:
    small = with_controls(tmp_path)
    (tmp_path / "sub-01_run-2_moco.txt").unlink()
    done = command("deepemotion", "pack", tmp_path, "--out", small.out)
    assert f"control motion: not packed, {tmp_path}/sub-01_run-2_moco.txt not found" in done.stderr
    assert f"{small.controls}: global-signal, stimulus, physio, phantom" in done.stderr
    describe(small, SOURCES[2:])
    assert "up to date" in command("deepemotion", "pack", tmp_path, "--out", small.out).stderr


def rewrite(name: str, content: str) -> Callable[[Path], object]:
    return lambda root: write(root / name, content.encode())


EVENTS_FILE, PHYSIO_JSON = "loudness_run-02_events.tsv", "task-film_physio.json"
BAD = [
    (rewrite("sub-01_run-2_moco.txt", "0 0 0\n" * 19), r"run-2_moco.txt: 19 rows, but run 2 has 20 volumes"),
    (rewrite("sub-01_run-2_moco.txt", "0 0 0\n" * 19 + "0 0\n"), r"run-2_moco.txt:20: 2 columns, not 3"),
    (rewrite("sub-01_run-2_moco.txt", "0 0 0\n0 x 0\n"), r"run-2_moco.txt:2: 'x' is not a number"),
    (rewrite("sub-01_run-2_moco.txt", "0 0\n" * 20), r"run-2_moco.txt: other columns than an .* lacks motion3"),
    (rewrite("sub-01_run-2_moco.txt", "x y z\n" + "0 0 0\n" * 20), r"run-2_moco.txt:1: 'x' is not a number"),
    (rewrite("sub-01_run-2_moco.txt", "0 1_0 0\n" * 20), r"run-2_moco.txt:1: '1_0' is not a number"),
    (rewrite("sub-01_run-2_moco.txt", "inf 0\n" * 20), r"run-2_moco.txt:1: 'inf' is not a number"),
    (rewrite("sub-01_run-2_moco.txt", ""), r"run-2_moco.txt: empty"),
    (rewrite("sub-01_run-1_confounds.tsv", "other\n1\n"), r"confounds.tsv: 1 rows, but run 1 has 20 volumes"),
    (rewrite("sub-01_run-1_confounds.tsv", "other\n" + "1\n" * 20), r"confounds.tsv: no column 'fd'; it has other"),
    (rewrite("sub-01_run-1_confounds.tsv", "fd\n" + "1\n" * 19 + "one\n"), r"confounds.tsv:21: fd 'one' is not a"),
    (rewrite(EVENTS_FILE, EVENTS.replace("onset", "time")), r"_events.tsv: no column 'onset'; it has time, duration"),
    (rewrite(EVENTS_FILE, EVENTS.replace("2.5\t0\t", "2.5\t-1\t")), r"_events.tsv:3: a duration below 0"),
    (rewrite(EVENTS_FILE, EVENTS.replace("2.5\t0\t", "n/a\t1\t")), r"_events.tsv:3: no onset"),
    (rewrite(EVENTS_FILE, EVENTS.replace("2.5\t0\t", "2500\t1\t")), r"_events.tsv:3: an onset far from the run"),
    (rewrite(EVENTS_FILE, EVENTS.replace("2.5\t0\t", "2.5\t1e5\t")), r"_events.tsv:3: a duration far beyond the run"),
    (rewrite(EVENTS_FILE, EVENTS.replace("place", "where")), r"run-02_events.tsv: no column 'place'"),
    (
        rewrite(EVENTS_FILE, EVENTS.replace("0.25", "0,25")),
        r"_events.tsv:4: rms '0,25' is a number with a decimal comma",
    ),
    (
        rewrite(EVENTS_FILE, EVENTS.replace("0.25", "-inf")),
        r"_events.tsv:4: rms '-inf' is not a finite number; write n/a",
    ),
    (rewrite(EVENTS_FILE, ""), r"_events.tsv: not a table with a header"),
    (rewrite(PHYSIO_JSON, "{"), r"physio.json: not JSON"),
    (rewrite(PHYSIO_JSON, '{"Columns": ["a"]}'), r"physio.json: needs Columns, SamplingFrequency \(Hz\) and StartTime"),
    (rewrite(PHYSIO_JSON, f'{{"Columns": ["a"], "SamplingFrequency": 1{"0" * 400}}}'), r"physio.json: needs Columns"),
    (
        rewrite(PHYSIO_JSON, '{"Columns": ["a", "b"], "SamplingFrequency": 500, "StartTime": 0}'),
        r"recorded during 1 of 20 volumes; are SamplingFrequency \(500 Hz\) and StartTime \(0 s\) in .* right",
    ),
    (
        rewrite(PHYSIO_JSON, '{"Columns": ["a"], "SamplingFrequency": 10, "StartTime": 0}'),
        r"physio.tsv.gz:1: 2 columns, not 1",
    ),
    (
        lambda root: write(root / "phantom_run-2.nii.gz", nifti_bytes(np.zeros((7, 8, 3, 19), "<i2"))),
        r"phantom_run-2.nii.gz: 19 volumes, but run 2 has 20",
    ),
]


@pytest.mark.parametrize(("spoil", "message"), BAD, ids=[pattern for _, pattern in BAD])
def test_a_wrong_file_is_one_line_and_nothing_is_written(
    tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    small = with_controls(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError) as raised:
        small.pack()
    assert re.search(message, str(raised.value))
    assert "\n" not in str(raised.value)
    assert not small.out.exists() or not list(small.out.iterdir())


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.floats(min_value=-(2.0**127), max_value=2.0**127, width=32), st.sampled_from(["", "n/a", "nan", " 1e3 "])
        ),
        max_size=9,
    )
)
def test_cells_that_are_numbers_or_empty_are_read(cells: list[float | str]) -> None:
    read = numbers([str(cell) for cell in cells])
    assert not isinstance(read, int)
    expected = [np.nan if cell in ("", "n/a") else float(cell) for cell in cells]
    np.testing.assert_array_equal(read, expected)
