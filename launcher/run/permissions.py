"""Who may read and write a run: its user, and the user's group to read, whatever the umask."""

import os
import stat
from pathlib import Path


def restrict(run: Path) -> None:
    """Let this process, and those that it starts, create files and folders that nobody else may read or write.

    The group may read them as far as the umask allows, but not write. It may write if the folder that holds the run
    passes its group on (setgid): such folders are made for sharing.
    """
    folder = next((folder for folder in (run, *run.absolute().parents) if folder.is_dir()), Path("/"))
    is_shared = folder.stat().st_mode & stat.S_ISGID
    os.umask(os.umask(0o077) | (0o007 if is_shared else 0o027))
