"""Files of controls as groups write them: what is read although it is written in another way, and read as what."""

import json
from pathlib import Path

import numpy as np
import pytest
from control_dataset import EVENTS, SOURCES, describe, with_controls
from nifti_dataset import SmallDataset, bold, write

from deepemotion.controls.stimulus import Stimulus
from deepemotion.packing.control_tables import Table
from deepemotion.subject_file.control_file import ControlFile
from deepemotion.subject_file.control_series import EventSeries, Series


def only(small: SmallDataset, **source: object) -> Series:
    """Pack a single source, and return what was packed of it."""
    describe(small, [source])
    small.pack()
    with ControlFile(small.controls) as file:
        (series,) = file.series(str(source["control"]))
    return series


CONFOUNDS = "sub-01_run-2_confounds.tsv"


def test_columns_are_found_by_name_whatever_their_order_in_a_run(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    (tmp_path / CONFOUNDS).write_text("other\tfd\n" + "7\tNA\n" + "7\t3\n" * 19)
    series = only(small, **{**SOURCES[1], "columns": None})
    assert series.columns == ("fd", "other")
    assert np.isnan(series.values[20, 0])
    assert series.values[21].tolist() == [3, 7]


def test_runs_with_other_columns_are_rejected_with_what_to_do(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    many = [f"a_comp_cor_{i:02d}" for i in range(30)]
    (tmp_path / CONFOUNDS).write_text("\t".join(["fd", *many]) + "\n" + ("1\t" * 30 + "1\n") * 20)
    with pytest.raises(
        Exception, match=r"a_comp_cor_04 and 25 more and lacks other; name the columns to use"
    ) as raised:
        only(small, **{**SOURCES[1], "columns": None})
    assert "a_comp_cor_05" not in str(raised.value)


def test_comments_in_a_file_of_motion_are_left_out(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    path = tmp_path / "sub-01_run-2_moco.txt"
    path.write_text("# 3dvolreg of run 2\n" + path.read_text())
    assert only(small, **SOURCES[0]).values.shape == (40, 6)


def test_a_run_may_have_no_event_at_all(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    (tmp_path / "loudness_run-02_events.tsv").write_text(EVENTS.splitlines()[0] + "\n")
    events = only(small, **SOURCES[2])
    assert isinstance(events, EventSeries)
    assert set(events.run.tolist()) == {1}
    assert (Stimulus([events], 1.0).features(events, 2, 20, 0) == 0).all()


def test_a_column_of_numbers_and_words_is_taken_for_categories_with_a_note(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    (tmp_path / "loudness_run-02_events.tsv").write_text(EVENTS.replace("0.25", "quiet"))
    describe(small, [SOURCES[2]])
    assert small.pack().controls.notes == [
        "stimulus: column rms is taken for categories: 3 of its cells are numbers, but 'quiet'"
        " (loudness_run-02_events.tsv:4) is none"
    ]


def test_codes_with_an_underscore_are_no_numbers(tmp_path: Path) -> None:
    path = tmp_path / "events.tsv"
    path.write_text("onset\tduration\tscene\n0\t1\t12_3\n")
    assert Table(path).first_word("scene") == 0


def test_a_recording_is_described_by_all_its_json_files_together(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    shared = tmp_path / "task-film_physio.json"
    complete = only(small, **SOURCES[3]).values
    content = json.loads(shared.read_text())
    start = content.pop("StartTime")
    shared.write_text(json.dumps(content | {"SamplingFrequency": "10"}))
    for run in (1, 2):
        (tmp_path / f"func/sub-01_task-film_run-{run}_physio.json").write_text(json.dumps({"StartTime": start}))
    np.testing.assert_array_equal(only(small, **SOURCES[3]).values, complete)


def test_a_stimulus_with_a_row_per_volume_of_a_complete_run_serves_who_left_early(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    small.write_run(2, bold(15, seed=2))
    for run in (1, 2):
        write(tmp_path / f"film_run-{run}.tsv", ("rms\n" + "".join(f"{i}\n" for i in range(20))).encode())
    series = only(small, control="stimulus", kind="timeseries", file="film_run-{run}.tsv")
    assert isinstance(series, EventSeries)
    np.testing.assert_array_equal(Stimulus([series], 1.0).features(series, 2, 15, 2.0)[2:, 0], np.arange(13))


def test_sources_in_another_order_are_packed_in_that_order(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    small.pack()
    describe(small, [SOURCES[1], SOURCES[0]])
    small.pack()
    with ControlFile(small.controls) as file:
        assert [len(series.columns) for series in file.series("motion")] == [1, 6]
