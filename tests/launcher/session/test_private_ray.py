"""The folder of a private Ray: who can enter it, where it is, and what becomes of those left behind."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from deepemotion.errors import UserError
from launcher.session import private_ray

NOBODY = 65534


@pytest.fixture
def temporary(monkeypatch):
    """Return a function that makes a folder the one for temporary files."""

    def use(folder):
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        return folder

    return use


@pytest.fixture
def short_folder():
    """Return a folder that everybody can enter, with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def as_another_user(code, *arguments):
    """Run Python code as a user who owns nothing here; return what it prints."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    start = f"import os, sys; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
    words = [sys.executable, "-I", "-S", "-c", start + code, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=True, cwd="/").stdout


ENTER = """
folder = sys.argv[1]
def read(path): open(path + "/token")
def make(path): os.mkdir(path + "/x")
def write(path): open(path + "/r/x", "w")
for attempt in (os.listdir, read, make, write):
    try:
        attempt(folder)
        print("allowed")
    except PermissionError:
        print("refused")
"""


def test_nobody_else_can_enter_the_folder_whatever_the_umask_and_whatever_is_writable_in_it(temporary, short_folder):
    temporary(short_folder)
    before = os.umask(0)
    try:
        with private_ray.private_ray() as folder:
            (folder / "r").mkdir(mode=0o777)
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert Path(os.environ["RAY_AUTH_TOKEN_PATH"]).parent == folder
            assert Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]).parent == folder
            assert as_another_user(ENTER, folder).split() == ["refused"] * 4
    finally:
        os.umask(before)
    assert list(short_folder.iterdir()) == []


@pytest.mark.parametrize("length", [30, 70, 100, 200])
def test_sockets_have_a_path_that_is_short_enough_in_any_folder_for_temporary_files(temporary, tmp_path, length):
    long = tmp_path / ("x" * max(1, length - len(str(tmp_path)) - 1))
    long.mkdir()
    temporary(long)
    with private_ray.private_folder() as folder:
        socket = folder / "r" / "session_2026-11-28_02-49-19_182462_4194304" / "sockets" / "plasma_store"
        assert len(os.fsencode(socket)) <= 107
        assert folder.is_relative_to("/tmp")


def test_a_folder_for_temporary_files_that_cannot_be_used_is_one_line_that_names_tmpdir(temporary):
    temporary("/proc/1")
    with pytest.raises(UserError, match="set TMPDIR to a folder"), private_ray.private_folder():
        pass


def test_a_folder_that_another_user_has_put_in_the_way_is_not_used(short_folder):
    path = short_folder / "de-ray-abc"
    as_another_user("os.mkdir(sys.argv[1], 0o777)", path)
    with pytest.raises(UserError, match="belongs to another user"), private_ray.private_folder(path):
        pass
    link = short_folder / "de-ray-link"
    link.symlink_to(short_folder)
    with pytest.raises(UserError, match="belongs to another user"), private_ray.private_folder(link):
        pass


def test_folders_of_killed_sessions_are_removed_and_those_in_use_stay(temporary, short_folder):
    temporary(short_folder)
    with private_ray.private_folder() as used:
        left = short_folder / "de-ray-left"
        left.mkdir()
        (left / "owner").touch()
        with private_ray.private_folder() as other:
            assert sorted(short_folder.iterdir()) == sorted([used, other])
