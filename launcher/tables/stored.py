"""A run's tables as files: written with checksums, and read only as they were written.

Pages of Parquet files carry their own checksums, which any reader can compare. SHA256SUMS has a checksum for each file,
`sha256sum --check SHA256SUMS` compares them: a page's checksum says nothing about the file's description of its pages.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from deepemotion.console import warn
from deepemotion.files import atomic_path, readable, write_text

if TYPE_CHECKING:
    import pandas as pd

SUMS = "SHA256SUMS"
# In the description of a Parquet file: a digest of all that it was made from.
_MADE_FROM = b"made_from"
_REMEDY = "delete it; deepemotion-launch results writes it anew"


def write(path: Path, write_to: Callable[[Path], object]) -> None:
    """Write a table by `write_to`, which is given a path, whole or not at all; and its checksum."""
    with atomic_path(path) as temporary:
        write_to(temporary)
        digest = file_digest(temporary)
    _write_sums(path.parent, {**read_sums(path.parent), path.name: digest})


def remove(path: Path) -> None:
    """Remove a table that nothing is left to make from, and its checksum; nothing where there is none."""
    if path.exists():
        path.unlink()
        _write_sums(path.parent, {name: digest for name, digest in read_sums(path.parent).items() if name != path.name})


def write_frame(path: Path, frame: "pd.DataFrame", made_from: str = "") -> None:
    """Write a table as Parquet; `made_from` is a digest of what it was made from."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    schema = with_origin(table.schema, made_from)
    table = table.replace_schema_metadata(schema.metadata)
    write(path, lambda file: pq.write_table(table, file, write_page_checksum=True))


def with_origin(schema: pa.Schema, made_from: str) -> pa.Schema:
    """Return the schema with the digest of what a table was made from."""
    return schema.with_metadata({**(schema.metadata or {}), _MADE_FROM: made_from.encode()})


def read_frame(path: Path) -> "pd.DataFrame":
    """Return a table that was written as Parquet. Raises UserError where it is damaged."""
    with readable(path, _REMEDY):
        frame: pd.DataFrame = pq.read_table(path, page_checksum_verification=True).to_pandas()
    return frame


def is_current(path: Path, made_from: str) -> bool:
    """Return whether a Parquet file is there, as it was written, and was made from what has this digest.

    One that is damaged is named.
    """
    if not path.is_file():
        return False
    if not is_intact(path):
        warn(f"{path}: damaged since it was written; it is made again from the trials")
        return False
    return (pq.read_schema(path).metadata or {}).get(_MADE_FROM) == made_from.encode()


def is_intact(path: Path) -> bool:
    """Return whether a table is as it was written."""
    with readable(path, _REMEDY):
        return read_sums(path.parent).get(path.name) == file_digest(path)


def read_sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 checksum of each table in a folder, none where they are not known."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.split("  ", 1) for line in lines if "  " in line)
    return {name: digest for digest, name in pairs}


def _write_sums(folder: Path, sums: dict[str, str]) -> None:
    write_text(folder / SUMS, "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())))


def file_digest(path: Path) -> str:
    """Return the SHA-256 checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
