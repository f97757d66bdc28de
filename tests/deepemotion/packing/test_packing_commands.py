"""`deepemotion pack`, `inspect` and `verify` as users run them."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
from nifti_dataset import SHAPE, SmallDataset, bold, half_mask, nifti_bytes, write

PROGRAM = [sys.executable, "-m", "deepemotion.cli"]
BIG = (100, 100, 40)


def run(*arguments: object, limit: str = "") -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *map(str, arguments)]
    if limit:
        command = ["bash", "-c", f'{limit}; exec "$@"', "bash", *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def slow_subject(tmp_path: Path) -> SmallDataset:
    """One subject with 160 volumes of 0.8 MB: seconds of packing, long enough to be stopped in its middle."""
    data = np.random.default_rng(0).integers(0, 2000, (*BIG, 20), dtype="<i2")
    small = SmallDataset(tmp_path, runs=0, mask=False, suffix=".nii.gz")
    small.runs = 8
    content = nifti_bytes(data)
    write(small.run_path(1), content)
    for run_number in range(2, 9):
        os.link(small.run_path(1), small.run_path(run_number))
    small.describe()
    return small


def start(small: SmallDataset) -> subprocess.Popen[str]:
    """Start packing in a process group of its own, and wait until volumes are being written."""
    process = subprocess.Popen(
        [*PROGRAM, "pack", str(small.root), "--out", str(small.out)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not any(path.stat().st_size > 10_000_000 for path in small.out.glob(".partial-*")):
        assert process.poll() is None, "packed before it could be stopped"
        time.sleep(0.01)
    return process


def test_pack_inspect_verify(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, subjects=["01", "02", "03"])
    small.write_run(2, bold(13), subject="02")
    packed = run("pack", tmp_path, "--out", small.out, "--subjects", "1,2", "--jobs", 2)
    assert (packed.returncode, packed.stdout) == (0, "")
    assert f"sub-01.h5: 2 runs packed\n  mask: {half_mask().sum()} of 60 voxels" in packed.stderr
    assert "sub-02 run 2: 13 of 20 volumes" in packed.stderr
    assert "volumes/s" in packed.stderr
    *controls, first, second = sorted(small.out.iterdir())
    files = [first, second]
    assert [path.name for path in files] == ["sub-01.h5", "sub-02.h5"]
    assert [path.name for path in controls] == ["controls_sub-01.h5", "controls_sub-02.h5"]

    again = run("pack", tmp_path, "--out", small.out, "--subjects", "1,2")
    assert again.stderr.count("up to date") == 2

    inspected = run("inspect", *files)
    assert inspected.returncode == 0
    assert f"40 volumes of {half_mask().sum()} voxels in 5 x 4 x 3, TR 1 s" in inspected.stdout
    assert f"mask: {half_mask().sum()} of 60 voxels; constant over a run: 0" in inspected.stdout
    assert "note: sub-02 run 2: 13 of 20 volumes: a short run is kept as it is" in inspected.stdout
    assert re.search(r"run  volumes  expected .*\n.*\n  2 +13 +20 +1 s +int16 +0 +0 +exact +sub-02", inspected.stdout)

    verified = run("verify", *files)
    assert (verified.returncode, verified.stdout) == (0, f"{files[0]}: ok\n{files[1]}: ok\n")


def test_verify_tells_damaged_from_foreign(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path)
    small.pack()
    with h5py.File(small.packed) as file:
        place = file["volumes"].id.get_chunk_info(7).byte_offset
    content = bytearray(small.packed.read_bytes())
    content[place] ^= 1
    damaged = tmp_path / "sub-02.h5"
    damaged.write_bytes(content)
    verified = run("verify", damaged, small.packed)
    assert verified.returncode == 1
    assert verified.stdout.splitlines() == [
        f"{damaged}: 1 of 40 volumes are damaged, the first is 7",
        f"{small.packed}: ok",
    ]
    foreign = tmp_path / "sub-03.h5"
    foreign.write_text("text")
    verified = run("verify", foreign, damaged, small.packed)
    assert verified.returncode == 2
    problem = "not an HDF5 file, so not a packed subject; move it elsewhere and pack the subject again"
    assert verified.stderr.splitlines() == [f"error: {foreign}: {problem}"]
    assert "damaged" in verified.stdout
    truncated = tmp_path / "sub-04.h5"
    truncated.write_bytes(content[: len(content) // 2])
    verified = run("verify", truncated)
    assert verified.returncode == 1
    assert verified.stdout.startswith(f"{truncated}: truncated")
    assert run("verify", tmp_path / "sub-05.h5").returncode == 2
    inspected = run("inspect", foreign)
    assert (inspected.returncode, len(inspected.stderr.splitlines())) == (2, 1)


def test_one_bad_subject_does_not_stop_the_others(tmp_path: Path) -> None:
    small = SmallDataset(tmp_path, subjects=["01", "02", "03"])
    path = small.run_path(1, "02")
    path.write_bytes(path.read_bytes()[:-50])
    packed = run("pack", tmp_path, "--out", small.out, "--jobs", 2)
    assert packed.returncode == 2
    assert f"sub-02: not packed: {path}: truncated" in packed.stderr
    assert packed.stderr.splitlines()[-1] == "error: 1 of 3 subjects not packed: sub-02"
    assert "Traceback" not in packed.stderr
    packed_files = ["controls_sub-01.h5", "controls_sub-03.h5", "sub-01.h5", "sub-03.h5"]
    assert [path.name for path in sorted(small.out.iterdir())] == packed_files


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--subjects", "77"], "subject 77: not in dataset small"),
        (["--jobs", "0"], "--jobs 0"),
        (["--dataset", "nothing"], "nothing: no such file"),
    ],
)
def test_wrong_use(tmp_path: Path, arguments: list[str], message: str) -> None:
    small = SmallDataset(tmp_path)
    packed = run("pack", tmp_path, "--out", small.out, *arguments)
    assert packed.returncode == 2
    assert message in packed.stderr
    assert "Traceback" not in packed.stderr
    assert not small.out.exists()


@pytest.mark.parametrize("name", ["file/below", "x" * 300])
def test_a_folder_that_cannot_be_created_is_one_line(tmp_path: Path, name: str) -> None:
    SmallDataset(tmp_path, subjects=["01", "02"])
    (tmp_path / "file").touch()
    packed = run("pack", tmp_path, "--out", tmp_path / name)
    assert packed.returncode == 2
    (line,) = packed.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path / name}: cannot create this folder: ")


@pytest.mark.parametrize("compression", ["none", "bitshuffle"])
def test_a_file_size_limit_leaves_nothing(tmp_path: Path, compression: str) -> None:
    small = SmallDataset(tmp_path, runs=1, mask=False)
    noise = np.random.default_rng(0).integers(-30000, 30000, (60, 60, 40, 4), dtype="<i2")
    small.write_run(1, noise)
    packed = run("pack", tmp_path, "--out", small.out, "--compression", compression, limit="ulimit -f 600")
    assert packed.returncode == 2, packed.stderr
    assert "sub-01.h5: cannot write: File too large; free some space, or choose another --out" in packed.stderr
    assert "Traceback" not in packed.stderr
    assert list(small.out.iterdir()) == []


@pytest.mark.parametrize("compression", ["none", "bitshuffle"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, compression: str) -> None:
    small = SmallDataset(tmp_path, runs=1, mask=False)
    small.write_run(1, np.random.default_rng(0).integers(-30000, 30000, (60, 60, 40, 4), dtype="<i2"))
    small.out.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "tmpfs", small.out], check=False)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        packed = run("pack", tmp_path, "--out", small.out, "--compression", compression)
        assert packed.returncode == 2, packed.stderr
        assert "no space left" in packed.stderr.lower()
        assert "Traceback" not in packed.stderr
        assert list(small.out.iterdir()) == []
    finally:
        subprocess.run(["umount", small.out], check=True)


# What HDF5 keeps in memory until a file is closed does not fit any more, though the volumes did.
@pytest.mark.parametrize("kilobytes", [328, 352])
def test_a_disk_that_is_full_at_the_end_of_the_file_leaves_nothing(tmp_path: Path, kilobytes: int) -> None:
    small = SmallDataset(tmp_path, runs=0, mask=False)
    small.runs = 8
    for number in range(1, 9):
        small.write_run(number, np.random.default_rng(number).integers(0, 2000, (10, 12, 8, 20), dtype="<i2"))
    small.describe()
    small.out.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", small.out], check=False)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        packed = run("pack", tmp_path, "--out", small.out)
        assert packed.returncode == 2, packed.stderr
        assert "No space left on device" in packed.stderr
        assert "Traceback" not in packed.stderr
        assert list(small.out.iterdir()) == []
    finally:
        subprocess.run(["umount", small.out], check=True)


def test_killed_in_the_middle_then_packed_again(slow_subject: SmallDataset) -> None:
    process = start(slow_subject)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not slow_subject.packed.exists()
    assert list(slow_subject.out.glob(".partial-*"))
    assert run("pack", slow_subject.root, "--out", slow_subject.out).returncode == 0
    assert sorted(slow_subject.out.iterdir()) == [slow_subject.controls, slow_subject.packed]


@pytest.mark.parametrize("whole_group", [True, False], ids=["Ctrl-C", "kill -INT"])
def test_interrupted_in_the_middle(slow_subject: SmallDataset, whole_group: bool) -> None:
    process = start(slow_subject)
    if whole_group:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in told
    assert list(slow_subject.out.iterdir()) == []


def test_a_killed_worker_fails_its_subject_only(slow_subject: SmallDataset) -> None:
    slow_subject.subjects = ["01", "02"]
    for run_number in range(1, 9):
        slow_subject.write_run(run_number, np.ones((*SHAPE, 20), "<i2"), subject="02")
    slow_subject.describe()
    process = start(slow_subject)
    parent = psutil.Process(process.pid)
    partial = next(slow_subject.out.glob(".partial-*sub-01.h5"))
    workers = [
        child for child in parent.children() if any(file.path == str(partial.resolve()) for file in child.open_files())
    ]
    workers[0].kill()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "sub-01: not packed: its process was killed (signal 9)" in told
    assert [path.name for path in sorted(slow_subject.out.glob("sub-*"))] == ["sub-02.h5"]
