"""Files that are either whole or not there."""

import os
import stat
from pathlib import Path

import pytest

from deepemotion.errors import UserError
from deepemotion.files import atomic_path, read_json, remove_abandoned, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_with_its_folder(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
        assert temporary.parent == target.parent
        assert temporary.suffix == ".txt"
    assert target.read_text() == "whole"
    assert names(target.parent) == ["b.txt"]


@pytest.mark.parametrize("target", ["", ".", "..", "/"])
def test_a_target_without_a_name_is_one_line(target: str) -> None:
    with pytest.raises(UserError, match="is a folder; give the name of a file in it"):
        write_text(Path(target), "whole")


def write_half(target: Path) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("halfway")


def copy(source: Path, target: Path) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text(source.read_text())


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "before")
    with pytest.raises(RuntimeError, match="halfway"):
        write_half(target)
    assert target.read_text() == "before"
    assert names(tmp_path) == ["a.txt"]


def test_files_have_the_mode_that_the_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_text_is_written_in_utf_8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "Überraschung\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xc3\x9cberraschung\n"


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/a\.txt: cannot write: "):
        write_text(tmp_path / "file" / "a.txt", "")


def test_a_target_that_is_a_folder_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(UserError, match=r"a\.txt: cannot write: Is a directory$"):
        write_text(tmp_path / "a.txt", "")
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"a\.txt: cannot write: No space left on device$"),
        atomic_path(tmp_path / "a.txt"),
    ):
        Path("/dev/full").write_text("x" * 100_000)
    assert names(tmp_path) == []


def test_a_source_that_fails_meanwhile_is_named_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"out\.txt: cannot write: No such file or directory \(.*/in\.txt\)$"):
        copy(tmp_path / "in.txt", tmp_path / "out.txt")
    assert names(tmp_path) == []


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b""])
def test_a_torn_file_is_named_with_what_helps(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "result.json"
    assert read_json(path, "delete it") is None
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"result\.json: cannot be read \(.+\); delete it$") as told:
        read_json(path, "delete it")
    assert "\n" not in str(told.value)


def test_temporaries_that_a_killed_process_left_are_removed_once_they_are_old(tmp_path: Path) -> None:
    for name in (".partial-1-last.pt", ".partial-2-last.pt", "last.pt"):
        (tmp_path / name).touch()
    for name in (".partial-1-last.pt", "last.pt"):
        os.utime(tmp_path / name, (0, 0))
    remove_abandoned(tmp_path)
    assert names(tmp_path) == [".partial-2-last.pt", "last.pt"]


def test_a_file_where_a_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/trial\.json: cannot be read .*; give a folder"):
        read_json(tmp_path / "file" / "trial.json", "give a folder")
