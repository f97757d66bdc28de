"""Damage to files: what bad disks, copies that stopped, editors and clocks do to bytes and times."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

_PAGE = 512


def _flip(random_: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    if changed:
        changed[random_.randrange(len(changed))] ^= 1 << random_.randrange(8)
    return bytes(changed)


def _zero(random_: random.Random, content: bytes) -> bytes:
    page = min(_PAGE, max(1, len(content) // 2))
    start = random_.randrange(max(1, len(content) - page)) // page * page
    return content[:start] + b"\0" * len(content[start : start + page]) + content[start + page :]


def _last_line_twice(random_: random.Random, content: bytes) -> bytes:
    return content + b"".join(content.splitlines(keepends=True)[-1:])


# What can happen to the bytes of any file; None: the file is gone.
DAMAGE: dict[str, Callable[[random.Random, bytes], bytes | None]] = {
    "a bit flipped": _flip,
    "truncated": lambda random_, content: content[: random_.randrange(max(1, len(content)))],
    "empty": lambda random_, content: b"",
    "a page zeroed": _zero,
    "all zeros": lambda random_, content: b"\0" * len(content),
    "its last line twice": _last_line_twice,
    "its last line missing": lambda random_, content: b"".join(content.splitlines(keepends=True)[:-1]),
    "null": lambda random_, content: b"null\n",
    "an empty object": lambda random_, content: b"{}\n",
    "an empty list": lambda random_, content: b"[]\n",
    "deleted": lambda random_, content: None,
}


def damage(random_: random.Random, path: Path, how: str) -> None:
    """Damage a file in place; its times stay, since a disk that fails changes none."""
    times = path.stat()
    content = DAMAGE[how](random_, path.read_bytes())
    # A checkpoint is one file under two names, and only one of them is to be damaged.
    path.unlink()
    if content is not None:
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def damage_dataset(random_: random.Random, path: Path, name: str) -> str:
    """Flip a bit in a dataset of a packed subject, or zero a part of it; say which."""
    with h5py.File(path, "r+") as file:
        stored = np.atleast_1d(file[name][()])
        raw = bytearray(stored.tobytes())
        if random_.random() < 0.5:
            place = random_.randrange(len(raw))
            raw[place] ^= 1 << random_.randrange(8)
            how = f"a bit of byte {place}"
        else:
            start = random_.randrange(len(raw))
            how = f"zeros in bytes {start} to {start + _PAGE}"
            raw[start : start + _PAGE] = b"\0" * len(raw[start : start + _PAGE])
        file[name][...] = np.frombuffer(bytes(raw), stored.dtype).reshape(file[name].shape)
    return f"{path.name}:/{name}: {how}"


def datasets(path: Path) -> list[str]:
    """Return the names of a packed subject's datasets."""
    found: list[str] = []
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return sorted(found)
