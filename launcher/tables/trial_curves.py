"""The curves of every trial for TensorBoard: one of its runs for training and one for validation, a tag per trial.

A folder per trial would be too many runs for TensorBoard to tick any. The files grow by the epochs that are new. They
are written again from the beginning where a trial was trained anew and has other values.
"""

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from deepemotion.files import write_text
from launcher.run.trial_files import EPOCH, TRAIN, VALIDATION
from launcher.tables.event_files import Events

_SIDES = {"training": TRAIN, "validation": VALIDATION}
# What is shown of a trial that is not there yet.
_NOTHING = [0.0, 0.0, 0.0]


@dataclass
class TrialCurves:
    """The curves in `folder`. `_shown` is each trial's last epoch in them, and its accuracies in it."""

    folder: Path
    _shown: dict[str, list[float]] = field(default_factory=dict)
    _files: dict[str, str] = field(default_factory=dict)
    _checksums: dict[str, int] = field(default_factory=dict)

    def add(self, fresh: pd.DataFrame, whole: bool) -> bool:
        """Append the epochs of trials that are not there yet; return False where everything has to be written again.

        `fresh` has all epochs of each of its trials. Another process may have appended since the last call. Where
        `fresh` is the `whole` run, it is also found out whether the files are damaged or show what is no longer there.
        """
        if not self._read() or (whole and not (self._intact() and self._all_in(fresh))):
            return False
        if fresh.empty:
            return True
        shown = [self._shown.get(name, _NOTHING) for name in fresh["trial"]]
        at = pd.DataFrame(shown, fresh.index, [EPOCH, TRAIN, VALIDATION])
        last = fresh[EPOCH] == at[EPOCH]
        if not fresh.loc[last, list(at.columns)].equals(at[last]):
            return False
        new = fresh[fresh[EPOCH] > at[EPOCH]]
        events = self._events(new)
        for side, one in events.items():
            if one:
                one.append(self.folder / side / self._files[side])
                self._checksums[side] = one.checksum(self._checksums[side])
        self._remember(new)
        return True

    def write(self, epochs: pd.DataFrame) -> None:
        """Write all epochs of all trials."""
        self._shown = {}
        files = {side: one.replace(self.folder / side) for side, one in self._events(epochs).items()}
        self._files = {side: file.name for side, file in files.items()}
        self._checksums = {side: zlib.crc32(file.read_bytes()) for side, file in files.items()}
        self._remember(epochs)

    def _events(self, epochs: pd.DataFrame) -> dict[str, Events]:
        events = {side: Events() for side in _SIDES}
        tags = "trials " + epochs["training_set"] + "/" + epochs["trial"]
        for epoch, rows in epochs.assign(tag=tags).groupby(epochs[EPOCH].astype(int)):
            for side, column in _SIDES.items():
                events[side].scalars(int(epoch), dict(zip(rows["tag"], rows[column], strict=True)))
        return events

    def _remember(self, added: pd.DataFrame) -> None:
        last = added.drop_duplicates("trial", keep="last")
        values = zip(last["trial"], last[EPOCH], last[TRAIN], last[VALIDATION], strict=True)
        self._shown |= {name: [epoch, train, validation] for name, epoch, train, validation in values}
        sizes = {side: (self.folder / side / name).stat().st_size for side, name in self._files.items()}
        content = {"files": self._files, "sizes": sizes, "checksums": self._checksums, "shown": self._shown}
        write_text(self.folder / "shown.json", json.dumps(content))

    def _read(self) -> bool:
        """Read what the files hold; return False where that is unknown, as after a crash between two writes."""
        try:
            content: Any = json.loads((self.folder / "shown.json").read_text(encoding="utf-8"))
            self._files = {side: Path(content["files"][side]).name for side in _SIDES}
            self._checksums = {side: int(content["checksums"][side]) for side in _SIDES}
            self._shown = {name: _of_three(values) for name, values in content["shown"].items()}
            sizes = {side: (self.folder / side / self._files[side]).stat().st_size for side in _SIDES}
            return bool(sizes == content["sizes"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False

    def _intact(self) -> bool:
        files = {side: self.folder / side / name for side, name in self._files.items()}
        return all(zlib.crc32(file.read_bytes()) == self._checksums[side] for side, file in files.items())

    def _all_in(self, epochs: pd.DataFrame) -> bool:
        """Return whether every trial that is shown has come as far."""
        last = epochs.groupby("trial")[EPOCH].max().to_dict()
        return all(last.get(name, 0) >= epoch for name, (epoch, _, _) in self._shown.items())


def _of_three(values: Any) -> list[float]:
    epoch, train, validation = map(float, values)
    return [epoch, train, validation]
