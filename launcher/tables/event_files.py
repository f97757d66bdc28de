"""Event files, as TensorBoard reads them: all of those in one folder are one of its runs."""

import io
import os
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.custom_scalar import metadata as custom_scalars
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.hparams.api_pb2 import Experiment
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboard.plugins.text import metadata as text
from tensorboard.summary.writer.record_writer import RecordWriter

from deepemotion.errors import UserError

_NAMES = "events.out.tfevents.*"
# By then, every TensorBoard has left a file that was replaced (seconds).
_READ_S = 600.0


@dataclass
class Events:
    """Events that are collected for one file. `time` is theirs, in seconds since the epoch."""

    time: float = field(default_factory=time.time)
    _buffer: io.BytesIO = field(default_factory=io.BytesIO)

    def __bool__(self) -> bool:
        return self._buffer.tell() > 0

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add a value of each of these tags."""
        self._add(step, *(Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()))

    def text(self, tag: str, markdown: str) -> None:
        """Add a text in Markdown."""
        self._tensor(tag, markdown.encode(), text.create_summary_metadata(tag, ""))

    def image(self, tag: str, png: bytes) -> None:
        """Add an image, the content of a PNG file."""
        # The size of a PNG image is at these bytes.
        width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
        image = Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=png)
        self._add(0, Summary.Value(tag=tag, image=image))

    def layout(self, layout: Layout) -> None:
        """Add the charts of TensorBoard's page Custom Scalars."""
        # tensorboard.plugins.custom_scalar.summary would make this, but needs TensorFlow.
        plugin = SummaryMetadata.PluginData(plugin_name=custom_scalars.PLUGIN_NAME)
        metadata = SummaryMetadata(plugin_data=plugin)
        self._tensor(custom_scalars.CONFIG_SUMMARY_TAG, layout.SerializeToString(), metadata)

    def experiment(self, experiment: Experiment) -> None:
        """Add the columns of TensorBoard's page HParams."""
        self._hparams(hparams.EXPERIMENT_TAG, HParamsPluginData(experiment=experiment))

    def row(self, settings: Mapping[str, float | str], metrics: Mapping[str, float], group: str) -> None:
        """Add the row of the page HParams that this file's folder stands for; `group` is a name of its own."""
        start = SessionStartInfo(group_name=group, start_time_secs=self.time)
        for name, value in settings.items():
            if isinstance(value, str):
                start.hparams[name].string_value = value
            else:
                start.hparams[name].number_value = value
        self._hparams(hparams.SESSION_START_INFO_TAG, HParamsPluginData(session_start_info=start))
        self.scalars(0, metrics)
        end = SessionEndInfo(end_time_secs=self.time)
        self._hparams(hparams.SESSION_END_INFO_TAG, HParamsPluginData(session_end_info=end))

    def _hparams(self, tag: str, content: HParamsPluginData) -> None:
        metadata = hparams.create_summary_metadata(content)
        self._add(0, Summary.Value(tag=tag, tensor=hparams.NULL_TENSOR, metadata=metadata))

    def _tensor(self, tag: str, content: bytes, metadata: SummaryMetadata) -> None:
        tensor = TensorProto(dtype="DT_STRING", string_val=[content], tensor_shape=TensorShapeProto())
        self._add(0, Summary.Value(tag=tag, tensor=tensor, metadata=metadata))

    def _add(self, step: int, *values: Summary.Value) -> None:
        self._event(Event(wall_time=self.time, step=step, summary=Summary(value=values)))

    def _event(self, event: Event) -> None:
        RecordWriter(self._buffer).write(event.SerializeToString())

    def replace(self, folder: Path, order: float | None = None) -> Path:
        """Write the events to a new file, which takes the place of those in the folder; return its path.

        Event files only grow, and their points are drawn in their order. A new file begins with a mark that makes a
        running TensorBoard forget the points that it has read from the earlier ones. TensorBoard lists its runs by
        their first event's time, which is `order` if it is given. Raises UserError where the folder cannot be written.
        """
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        earlier = sorted(folder.glob(_NAMES))
        first = Events(self.time if order is None else order)
        first._event(Event(wall_time=first.time, file_version="brain.Event:2"))
        first._event(Event(wall_time=first.time, step=0, session_log=SessionLog(status=SessionLog.START)))
        # TensorBoard reads the files of a folder in the order of their names.
        path = folder / f"events.out.tfevents.{time.time_ns() // 1000:016d}.{os.uname().nodename}.{os.getpid()}"
        try:
            with _writing(path):
                path.write_bytes(first._buffer.getvalue() + self._buffer.getvalue())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        for file in earlier:
            # Not removed at once: TensorBoard would never leave a file that is gone for the next one.
            if file.stat().st_size:
                os.truncate(file, 0)
            elif time.time() - file.stat().st_mtime > _READ_S:
                file.unlink()
        return path

    def checksum(self, before: int = 0) -> int:
        """Return the CRC-32 of the events, after others of which it is `before`."""
        return zlib.crc32(self._buffer.getbuffer(), before)

    def append(self, path: Path) -> None:
        """Append the events to a file. Raises UserError where it cannot be written."""
        with _writing(path), path.open("ab") as file:
            file.write(self._buffer.getvalue())


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot write: {error.strerror or error}") from error


def newest(folder: Path) -> Path | None:
    """Return the event file of a folder that was written last, None where it has none."""
    return max(folder.glob(_NAMES), default=None)


def began(path: Path) -> float:
    """Return when an event file of `Events.replace` was begun, in seconds since the epoch."""
    return int(path.name.split(".")[3]) / 1e6


def remove(folder: Path) -> None:
    """Remove the event files of a folder, and the folder if nothing else is in it."""
    for file in folder.glob(_NAMES):
        file.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def folder_name(name: str) -> str:
    """Return a name that a folder can have."""
    return "".join(letter if letter.isalnum() or letter in "._-+=," else "-" for letter in name)
