"""A trial's TensorBoard event file: one file per trial, however often the training was interrupted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams


class EventFile:
    """Writes the metrics of each epoch; step = epoch."""

    def __init__(self, folder: Path, hyperparameters: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # A resumed training writes its history again, into a new file: two files would show epochs twice. purge_step
        # makes a running TensorBoard forget what it read from the old one.
        remove_event_files(folder)
        self._writer = SummaryWriter(str(folder), purge_step=0)
        (self._path,) = folder.glob("events.out.tfevents.*")
        self._hyperparameters = dict(hyperparameters)

    @property
    def exists(self) -> bool:
        """Whether the file is still there: what is written to a deleted one is lost."""
        return self._path.exists()

    def epoch(self, metrics: Mapping[str, float]) -> None:
        """Write one epoch's metrics under their own names; `epoch` is the step."""
        for tag, value in metrics.items():
            if tag != "epoch":
                self._writer.add_scalar(tag, value, int(metrics["epoch"]))
        self._writer.flush()

    def final(self, metrics: Mapping[str, float]) -> None:
        """Write the hyperparameters with the final metrics, for TensorBoard's HParams page."""
        final = {f"final/{name}": value for name, value in metrics.items()}
        for summary in hparams(self._hyperparameters, final):
            self._writer._get_file_writer().add_summary(summary)
        for tag, value in final.items():
            self._writer.add_scalar(tag, value)

    def close(self) -> None:
        """Flush and close the file."""
        self._writer.close()


def remove_event_files(folder: Path) -> None:
    """Remove what earlier attempts wrote."""
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
