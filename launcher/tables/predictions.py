"""The predictions of all trials of a run that are done, in one table."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from deepemotion.files import atomic_path, readable
from launcher.run.directory import RunDirectory
from launcher.tables.held_out import SPLITS

# Rows written, and later read, at a time: the few hundred of one trial would cost more than their data.
_ROWS = 1 << 17
_MADE_FROM = b"made_from"
# The last checkpoint is there: a trial without its result only predicts again.
_REMEDY = "delete it and result.json beside it, and launch again"


def write_predictions(run: RunDirectory, done: Mapping[str, bool]) -> None:
    """Write tables/predictions.parquet of the trials done, each with whether it is permuted, in this order.

    Of permuted trials the predictions of volumes that test are kept: nothing is made of the others, and they would be
    most of the file. A table that was made from the same files is left as it is.
    """
    if not done:
        return
    path = run.tables / "predictions.parquet"
    parts = {name: run.trial(name).predictions for name in done}
    made_from = _fingerprint(parts, done)
    # A table that is missing or torn is made anew.
    with suppress(OSError, ValueError):
        if (pq.read_schema(path).metadata or {}).get(_MADE_FROM) == made_from:
            return
    schema = pa.unify_schemas([_schema(part) for part in parts.values()], promote_options="permissive")
    schema = schema.insert(0, pa.field("trial", pa.dictionary(pa.int32(), pa.string())))
    schema = schema.with_metadata({_MADE_FROM: made_from})
    with atomic_path(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for tables in _gathered(parts, done):
            # Runs whose labels were changed have other classes: a probability that a trial has not is null.
            table = pa.concat_tables([schema.empty_table(), *tables], promote_options="permissive")
            writer.write_table(table.unify_dictionaries())


def _gathered(parts: Mapping[str, Path], permuted: Mapping[str, bool]) -> Iterator[list[pa.Table]]:
    """Give the trials' tables, some at a time."""
    tables: list[pa.Table] = []
    for name, path in parts.items():
        with readable(path, _REMEDY), pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)
        if permuted[name]:
            table = table.filter(pc.field("split").isin(SPLITS))
        tables.append(table.add_column(0, "trial", pa.array([name] * len(table)).dictionary_encode()))
        if sum(map(len, tables)) >= _ROWS:
            yield tables
            tables = []
    yield tables


def _schema(path: Path) -> pa.Schema:
    with readable(path, _REMEDY):
        return pq.read_schema(path)


def _fingerprint(parts: Mapping[str, Path], permuted: Mapping[str, bool]) -> bytes:
    """Return what tells these files, as they are now, from others."""
    digest = hashlib.sha256()
    for name, path in parts.items():
        with readable(path, _REMEDY):
            status = path.stat()
        digest.update(f"{name}\t{permuted[name]}\t{status.st_size}\t{status.st_mtime_ns}\n".encode())
    return digest.hexdigest().encode()
