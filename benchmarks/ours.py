"""Our training, epoch by epoch in turn with others, through `deepemotion.training.loop.train` as everybody calls it."""

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.child import Finished, Turns
from deepemotion.settings.schema import DataSettings, ModelSettings, SplitSettings, TrainSettings, Trial
from deepemotion.training.loop import Metrics, train
from deepemotion.training.trial_directory import TrialDirectory

Epochs = Callable[[Metrics], None]


def trial(
    subjects: list[str],
    epochs: int,
    batch_size: int,
    threads: int,
    precision: str = "float32",
    normalisation: str = "zscore+detrend",
    validation_share: float = 0.2,
    seed: int = 0,
    learning_rate: float = 1e-3,
) -> Trial:
    """Return a trial of the paper's network with the published random split."""
    return Trial.model_validate(
        {
            "data": DataSettings(lag_s=0, drop_overlaps=False, normalisation=normalisation),
            "split": SplitSettings(protocol="random", validation_share=validation_share),
            "model": ModelSettings(name="cnn3d"),
            "train": TrainSettings(
                epochs=epochs,
                batch_size=batch_size,
                threads=threads,
                precision=precision,
                device="cpu",
                seed=seed,
                learning_rate=learning_rate,
            ),
            "subjects": subjects,
        }
    )


def changed(wanted: Trial, changes: Mapping[str, Mapping[str, Any]]) -> Trial:
    """Return the trial with settings of its sections changed: section -> key -> value."""
    sections = wanted.model_dump()
    for section, values in changes.items():
        sections[section].update(values)
    return Trial.model_validate(sections)


def run(wanted: Trial, packed: Path, labels: Path, on_epoch: Epochs) -> Metrics:
    """Train in a folder that is removed afterwards, and return the result."""
    with tempfile.TemporaryDirectory(prefix="deepemotion-bench-") as folder:
        return train(wanted, packed, labels, TrialDirectory(Path(folder) / "trial"), on_epoch)


def epochs_in_turn(turns: Turns, wanted: Trial, packed: Path, memory_bytes: int | None = None) -> None:
    """Train an epoch a turn; answer its seconds as the trial counts them, and from one epoch's end to the next's.

    The second ones, and those of the processor that come third, include the checkpoint, the tables and the event file.
    """
    folder = Path(tempfile.mkdtemp(prefix="deepemotion-bench-"))
    begun = (0.0, 0.0)

    def wait() -> None:
        nonlocal begun
        turns.wait()
        begun = time.perf_counter(), time.process_time()

    def on_epoch(metrics: Metrics) -> None:
        turns.done((metrics["time/epoch"], time.perf_counter() - begun[0], time.process_time() - begun[1]))
        wait()

    try:
        wait()
        train(wanted, packed, packed / "labels.tsv", TrialDirectory(folder / "trial"), on_epoch, memory_bytes)
    except Finished:
        pass
    finally:
        shutil.rmtree(folder)
