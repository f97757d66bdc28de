"""The predictions of all trials of a run that are done, in one table."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from deepemotion.files import readable
from launcher.run.directory import RunDirectory
from launcher.run.trial_files import REMEDY
from launcher.tables import stored
from launcher.tables.held_out import SPLITS

# Rows written, and later read, at a time: groups of one trial's few hundred rows would cost more than their data.
_ROWS = 1 << 17


def write_predictions(run: RunDirectory, done: Mapping[str, bool]) -> None:
    """Write tables/predictions.parquet of trials that are done, each with whether it is included partly, in this order.

    Of such trials, on permuted labels or of learning curves, only the predictions of volumes that test are included:
    nothing is made of the others, and they would be most of the file. A table that was made from the same content, and
    is as it was written, stays.
    """
    path = run.tables / "predictions.parquet"
    if not done:
        # All that were done no longer count.
        stored.remove(path)
        return
    parts = {name: run.trial(name).predictions for name in done}
    made_from = _content(parts, done)
    if stored.is_current(path, made_from):
        return
    schema = _schema(parts.values())
    schema = schema.insert(0, pa.field("trial", pa.dictionary(pa.int32(), pa.string())))
    schema = stored.with_origin(schema, made_from)

    def write(temporary: Path) -> None:
        with pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer:
            for tables in _gathered(parts, done):
                # Runs whose labels were changed have other classes: a probability that a trial has not is null.
                table = pa.concat_tables([schema.empty_table(), *tables], promote_options="permissive")
                writer.write_table(table.unify_dictionaries())

    stored.write(path, write)


def _gathered(parts: Mapping[str, Path], partly: Mapping[str, bool]) -> Iterator[list[pa.Table]]:
    """Yield the trials' tables, some at a time."""
    tables: list[pa.Table] = []
    for name, path in parts.items():
        with readable(path, REMEDY), pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read(use_threads=False)
        if partly[name]:
            table = table.filter(pc.field("split").isin(SPLITS))
        tables.append(table.add_column(0, "trial", pa.array([name] * len(table)).dictionary_encode()))
        if sum(map(len, tables)) >= _ROWS:
            yield tables
            tables = []
    yield tables


def _schema(parts: Iterable[Path]) -> pa.Schema:
    """Return the columns of all parts."""
    schema = pa.schema([])
    for path in parts:
        with readable(path, REMEDY):
            schema = pa.unify_schemas([schema, pq.read_schema(path).remove_metadata()], promote_options="permissive")
    return schema


def _content(parts: Mapping[str, Path], partly: Mapping[str, bool]) -> str:
    """Return a digest of the content of these files: their times say nothing where a clock was set or files copied."""
    digest = hashlib.sha256()
    for name, path in parts.items():
        with readable(path, REMEDY):
            digest.update(f"{name}\t{partly[name]}\t{stored.file_digest(path)}\n".encode())
    return digest.hexdigest()
