"""Who may write to a run: its user whatever the umask, and one launch at a time whatever becomes of the lock."""

import os
import stat

import pytest

from deepemotion.errors import UserError
from launcher.run import permissions
from launcher.run.directory import RunDirectory
from launcher.run.sessions import SessionFile


@pytest.fixture
def umask():
    """Return a function that sets the umask, which is as before after the test."""
    before = os.umask(0)
    yield os.umask
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("given", "folder", "file"), [(0o000, 0o750, 0o640), (0o022, 0o750, 0o640), (0o077, 0o700, 0o600)]
)
def test_nobody_outside_the_group_can_read_a_run_and_only_its_user_can_write(tmp_path, umask, given, folder, file):
    umask(given)
    run = RunDirectory(tmp_path / "runs" / "r")
    permissions.restrict(run.path)
    with run.locked():
        assert mode(run.path.parent) == mode(run.path) == folder
        assert mode(run.path / ".lock") == file


def test_a_setgid_folder_shares_its_runs_with_the_group(tmp_path, umask):
    tmp_path.chmod(0o2770)
    umask(0o002)
    run = RunDirectory(tmp_path / "r")
    permissions.restrict(run.path)
    with run.locked():
        assert mode(run.path) & 0o777 == 0o770
        assert mode(run.path / ".lock") == 0o660


def test_a_lock_file_that_is_deleted_does_not_let_a_second_launch_in(tmp_path):
    run = RunDirectory(tmp_path / "r")
    with run.locked():
        record = SessionFile(run.sessions, ["a"], None, None)
        (run.path / ".lock").unlink()
        for _ in range(2):
            with pytest.raises(UserError, match=rf"launch \(process {os.getpid()} on .*\) is working"), run.locked():
                pass
            with pytest.raises(UserError, match="is working on this run"), run.locked(shared=True):
                pass
    record.end("done")
    with run.locked():
        pass


def test_jobs_of_slurm_still_share_a_run_whose_lock_file_was_deleted(tmp_path):
    run = RunDirectory(tmp_path / "r")
    SessionFile(run.sessions, ["a"], "7", "7_0")
    with run.locked(shared=True):
        pass
    (run.path / ".lock").unlink()
    with pytest.raises(UserError, match="is working on this run"), run.locked():
        pass
