"""The controls that are packed beside a subject: what they hold, and when they are packed again."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from control_dataset import SOURCES, describe, with_controls
from nifti_dataset import SHAPE, SmallDataset, bold, half_mask, masked

from deepemotion.errors import UserError
from deepemotion.subject_file.control_file import ControlFile, ControlHeader, write_control_file
from deepemotion.subject_file.control_series import EventSeries, VolumeSeries
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_file.verify import problems


def volumes_of(small: SmallDataset, control: str) -> list[VolumeSeries]:
    with ControlFile(small.controls) as file:
        series = file.series(control)
    assert all(isinstance(one, VolumeSeries) for one in series)
    return series


def test_motion_and_time_series_are_packed_in_the_order_of_the_volumes(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    assert small.pack().controls.names == ["global-signal", "motion", "stimulus", "physio", "phantom"]
    motion, confounds = volumes_of(small, "motion")
    written = np.concatenate([np.loadtxt(tmp_path / f"sub-01_run-{run}_moco.txt") for run in (1, 2)])
    np.testing.assert_array_equal(motion.values, written.astype(np.float32))
    assert confounds.columns == ("fd",)
    assert np.isnan(confounds.values[[0, 20], 0]).all()
    assert confounds.values[21, 0] == 0.25


def test_a_recording_becomes_mean_and_sd_of_each_volume_from_its_start_time_on(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    small.pack()
    (physio,) = volumes_of(small, "physio")
    assert physio.columns == ("second", "second_sd", "noise", "noise_sd")
    # It started a second before the run, and counts seconds.
    np.testing.assert_array_equal(physio.values[:20, 0], np.arange(20) + 1)
    assert (physio.values[:, 1] == 0).all()


def test_events_keep_their_times_and_categories_become_indicators(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    small.pack()
    with ControlFile(small.controls) as file:
        (events,) = file.series("stimulus")
    assert isinstance(events, EventSeries)
    assert events.columns == ("rms", "place=bus stop", "place=park")
    assert events.categorical == 2
    assert events.run.tolist() == [1, 1, 1, 2, 2, 2]
    assert events.onset[:3].tolist() == [0, 2.5, 4]
    assert (events.duration > 0).all()
    np.testing.assert_array_equal(events.values[:3], [[0.5, 0, 1], [np.nan, 0, 0], [0.25, 1, 0]])


@pytest.mark.parametrize("dtype", ["<i2", "<f4"])
def test_the_global_signal_is_the_mean_of_mask_and_slices_in_physical_units(tmp_path: Path, dtype: str) -> None:
    small = SmallDataset(tmp_path)
    data = bold(20, seed=5, dtype="<f8").astype(dtype)
    small.write_run(2, data, slope=0.5, intercept=-20.0)
    small.pack()
    (signal,) = volumes_of(small, "global-signal")
    physical = 0.5 * data.astype(np.float64) - 20.0
    inside = masked(physical)
    np.testing.assert_allclose(signal.values[20:, 0], inside.mean(axis=1), rtol=1e-5)
    z_of_voxel = np.broadcast_to(np.arange(SHAPE[2]), SHAPE).ravel(order="F")[half_mask().ravel(order="F")]
    for z in range(SHAPE[2]):
        column = signal.values[20:, signal.columns.index(f"slice_{z}")]
        np.testing.assert_allclose(column, inside[:, z_of_voxel == z].mean(axis=1), rtol=1e-5)
    # Taken while packing, it has the same bits as from the packed file.
    small.controls.unlink()
    small.pack()
    (again,) = volumes_of(small, "global-signal")
    np.testing.assert_array_equal(again.values, signal.values)


def test_a_phantom_is_reduced_to_means_of_blocks_and_cut_to_the_runs(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    small.pack()
    (phantom,) = volumes_of(small, "phantom")
    assert phantom.values.shape == (40, 6 * 6 * 3)
    raw = gzip.decompress((tmp_path / "phantom_run-1.nii.gz").read_bytes())[352:]
    data = 2.0 * np.frombuffer(raw, "<i2").reshape(7, 8, 3, 21, order="F") + 1.0
    # The last of six blocks along x and y begins at voxel 5 of 7, and at 6 of 8.
    last = phantom.columns.index("block_5_5_2")
    np.testing.assert_allclose(phantom.values[:20, last], data[5:, 6:, 2, :20].mean(axis=(0, 1)), rtol=1e-6)


def test_a_phantom_is_read_once_for_all_subjects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = with_controls(tmp_path, ("01", "02"))
    small.pack("01")
    monkeypatch.setattr("deepemotion.packing.phantom.read_phantom", None)
    small.pack("02")
    with ControlFile(small.out / "controls_sub-02.h5") as file:
        np.testing.assert_array_equal(file.series("phantom")[0].values, volumes_of(small, "phantom")[0].values)


def test_controls_are_packed_again_only_where_something_changed(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    small.pack()
    first = small.controls.read_bytes()
    assert not small.pack().controls.written
    assert small.controls.read_bytes() == first
    np.savetxt(tmp_path / "sub-01_run-2_moco.txt", np.zeros((20, 6)))
    again = small.pack()
    assert again.read == []
    assert again.controls.written
    assert (volumes_of(small, "motion")[0].values[20:] == 0).all()
    small.controls.unlink()
    assert small.pack().controls.written
    small.write_run(1, bold(20, seed=9))
    assert small.pack().controls.written


def test_recordings_are_averaged_again_where_the_description_has_another_tr(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    describe(small, [SOURCES[3]])
    small.pack()
    before = volumes_of(small, "physio")[0].values
    path = tmp_path / "dataset.yaml"
    path.write_text(path.read_text().replace("tr: 1.0", "tr: 0.9"))
    small.pack()
    assert not np.array_equal(volumes_of(small, "physio")[0].values, before)


def test_a_damaged_file_of_controls_is_named_with_what_to_do_and_packed_again(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    small.pack()
    intact = small.controls.read_bytes()
    value = volumes_of(small, "motion")[0].values.tobytes()
    place = intact.index(value) + 17
    small.controls.write_bytes(intact[:place] + bytes([intact[place] ^ 1]) + intact[place + 1 :])
    with pytest.raises(UserError, match=r"controls_sub-01\.h5: /motion/0/values is not what was packed: damaged; pack"):
        volumes_of(small, "motion")
    assert problems(small.controls) == ["/motion/0/values is not what was packed: damaged; pack the subject again"]
    assert small.pack().controls.written
    assert small.controls.read_bytes() == intact
    assert problems(small.controls) == []


def test_a_file_of_controls_holds_no_times_so_that_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    path = tmp_path / "controls_sub-01.h5"
    header = ControlHeader(subject="01", dataset="d", tr=1, packed="", volumes={1: 2}, sources=[], notes=[])
    write_control_file(path, header, {"motion": [VolumeSeries(("a",), np.ones((2, 1), np.float32))]})
    with h5py.File(path) as file:
        for name in ("motion", "motion/0", "motion/0/values"):
            info = h5py.h5o.get_info(file[name].id)
            assert (info.btime, info.mtime, info.ctime) == (0, 0, 0)


def test_inspect_shows_what_a_file_of_controls_holds(
    tmp_path: Path, command: Callable[..., object], in_process: Callable[..., tuple[int, str, str]]
) -> None:
    small = with_controls(tmp_path)
    small.pack()
    code, out, err = in_process("deepemotion", "inspect", small.controls, small.packed, "--json")
    assert (code, err) == (0, "")
    controls, subject = json.loads(out)
    assert (controls["kind"], controls["subject"]) == ("controls", "01")
    assert controls["controls"]["motion"][-1]["columns"][-1] == "fd"
    assert controls["checksums"]["motion"].startswith("sha256:")
    assert (subject["kind"], subject["volumes"], subject["shape"]) == ("subject", 40, [5, 4, 3])
    assert [run["volumes"] for run in subject["runs"]] == [20, 20]
    assert subject["expected_volumes"] == {"1": 20, "2": 20}
    assert in_process("deepemotion", "inspect", small.packed, "nope.h5", "--json")[:2] == (2, "")
    shown = command("deepemotion", "inspect", small.controls).stdout.splitlines()
    assert shown[0].startswith(f"{small.controls}: controls of sub-01 of small")
    assert shown[2].startswith("  motion: motion1, motion2, motion3, motion4, motion5, motion6, fd; sha256:")
    assert shown[-1] == "  note: phantom: means of 6 x 6 x 3 blocks of its 7 x 8 x 3 voxels"
    assert command("deepemotion", "verify", small.controls, small.packed).returncode == 0


def test_a_file_of_another_packing_is_not_used(tmp_path: Path) -> None:
    small = with_controls(tmp_path)
    small.pack()
    before = small.controls.read_bytes()
    small.write_run(1, bold(20, seed=9))
    small.pack()
    small.controls.write_bytes(before)
    with SubjectFile(small.packed) as file, pytest.raises(UserError, match=r"made from another sub-01\.h5; pack the"):
        ControlFile.of(file)


def test_a_foreign_file_is_never_replaced(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    small.out.mkdir()
    small.controls.write_text("notes")
    with pytest.raises(UserError, match="not a file of controls, or damaged; delete it"):
        small.pack()
    assert small.controls.read_text() == "notes"
    assert not small.packed.exists()
