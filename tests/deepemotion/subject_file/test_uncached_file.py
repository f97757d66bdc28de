"""What is written past the system's cache is what any write would have left, wherever it begins and lies in memory."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepemotion.subject_file.uncached_file import PAGE, UncachedFile

BYTES = 6 * PAGE


def memory_like(offset: int, size: int, seed: int) -> memoryview:
    """Return random bytes that lie in memory as they will in the file at `offset`."""
    room = np.random.default_rng(seed).integers(0, 256, size + PAGE, np.uint8)
    begin = (offset - room.ctypes.data) % PAGE
    return room[begin : begin + size].data


def in_cache(path: Path, offset: int) -> bool:
    with path.open("rb") as file:
        try:
            return os.preadv(file.fileno(), [bytearray(1)], offset, os.RWF_NOWAIT) == 1
        except BlockingIOError:
            return False


@settings(deadline=None)
@given(
    places=st.lists(st.tuples(st.integers(0, BYTES), st.integers(0, BYTES), st.booleans()), max_size=5),
    seed=st.integers(0, 2**16),
)
def test_any_writes_leave_what_they_should(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, int, bool]], seed: int
) -> None:
    path = tmp_path_factory.mktemp("uncached") / "file"
    expected = bytearray(2 * BYTES)
    path.write_bytes(expected)
    with UncachedFile(path) as file:
        for number, (offset, size, alike) in enumerate(places):
            data = memory_like(offset + (0 if alike else 2), size, seed + number)
            file.write(data, offset)
            expected[offset : offset + size] = data
    assert path.read_bytes() == expected


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An empty file."""
    path = tmp_path / "file"
    path.touch()
    return path


def test_whole_pages_go_past_the_cache(file: Path) -> None:
    try:
        direct = os.open(file, os.O_WRONLY | os.O_DIRECT)
        os.pwrite(direct, memory_like(0, PAGE, 0), 0)
        os.close(direct)
        if in_cache(file, 0):
            pytest.skip("this file system lives in the cache")
    except OSError:
        pytest.skip("this file system has no way around the cache")
    with UncachedFile(file) as written:
        written.write(memory_like(100, 3 * PAGE, 0), 100)
    assert [in_cache(file, place) for place in (100, PAGE, 3 * PAGE - 1, 3 * PAGE)] == [True, False, False, True]


@pytest.mark.parametrize("refuses", ["open", "write"])
def test_a_file_system_that_refuses_has_everything_through_its_cache(
    file: Path, monkeypatch: pytest.MonkeyPatch, refuses: str
) -> None:
    def refuse_direct(path: Path, flags: int, *mode: int) -> int:
        if flags & os.O_DIRECT and refuses == "open":
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return real(path, flags, *mode)

    real = os.open
    monkeypatch.setattr(os, "open", refuse_direct)
    # Memory that lies otherwise than in the file is what disks refuse.
    data = memory_like(0 if refuses == "open" else 2, 3 * PAGE, 0)
    with UncachedFile(file) as written:
        written.write(data, 0)
        written.write(data, 3 * PAGE)
    assert file.read_bytes() == bytes(data) * 2


def test_writes_cut_short_are_finished(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda number, data, offset: real(number, data[: PAGE + 512], offset))
    data = memory_like(10, 5 * PAGE + 20, 0)
    with UncachedFile(file) as written:
        written.write(data, 10)
    assert file.read_bytes() == bytes(10) + bytes(data)


def test_a_disk_that_fails_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(number: int, data: memoryview, offset: int) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pwrite", fail)
    with UncachedFile(file) as written, pytest.raises(OSError, match=os.strerror(errno.EIO)):
        written.write(memory_like(0, PAGE, 0), 0)


def test_a_thread_that_nobody_waited_for_writes_to_no_other_file(tmp_path: Path, file: Path) -> None:
    with UncachedFile(file) as left_behind:
        pass
    # These have the numbers that the closed file had.
    with (tmp_path / "one").open("wb"), (tmp_path / "other").open("wb"), pytest.raises(ValueError, match="closed"):
        left_behind.write(memory_like(0, PAGE, 0), 0)
    assert [path.stat().st_size for path in sorted(tmp_path.iterdir())] == [0, 0, 0]
