"""The same epoch of the same network on the same CPU, by us in float32 and bfloat16, and the published way."""

import time
from pathlib import Path

from benchmarks import child, data, machine, ours
from benchmarks.child import Turns
from benchmarks.stage import at_least, stage
from benchmarks.stages.batches import frame
from benchmarks.stages.epoch import BATCH, THREADS, VALIDATION_SHARE, volumes_of
from benchmarks.timing import Timings
from deepemotion.subject_file.reader import subject_path


def _published_in_turn(turns: Turns, store: Path, runs: int, volumes: int) -> None:
    import torch

    from benchmarks import published

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    dataset = published.Volumes(store, frame(runs, volumes))
    epochs = published.epochs(dataset, len(data.CLASSES), BATCH, 1e-3, VALIDATION_SHARE)
    while True:
        turns.wait()
        processor = time.process_time()
        seconds, _ = next(epochs)
        turns.done((seconds, time.process_time() - processor))


def _measure(folder: Path, store: Path, runs: int, volumes: int, rounds: int, precision: str) -> Timings:
    wanted = ours.trial(["01"], rounds + 2, BATCH, THREADS, precision, "none", VALIDATION_SHARE)
    timings = Timings()
    with (
        child.Child(ours.epochs_in_turn, wanted, folder) as trained,
        child.Child(_published_in_turn, store, runs, volumes) as published,
    ):
        trained.round()
        published.round()
        for _ in range(rounds):
            epoch, _, processor = trained.round()
            timings.add(precision, epoch, processor)
            timings.add("published", *published.round())
    return timings


def main() -> None:
    """Measure and report."""
    from benchmarks import published

    with stage("published_epoch", __doc__) as this:
        runs, volumes = volumes_of(this.quick)
        folder = data.packed(data.shape(this.quick), volumes, runs)
        store = folder / "published.zarr"
        published.from_subject(subject_path(folder, "01"), store)
        wanted = {"float32": at_least(3)}
        if machine.bfloat16() != "none":
            wanted["bf16"] = at_least(4)
        else:
            this.note("bfloat16 is not measured: the processor has no instructions for it")
        for precision, target in wanted.items():
            timings = _measure(folder, store, runs, volumes, 3, precision)
            this.ratio(
                f"speed in {precision} against the published way",
                timings,
                "published",
                precision,
                target,
                note="ours with checkpoints:",
            )
            speeds = {name: runs * volumes / seconds for name, seconds in timings.medians().items()}
            this.note(" · ".join(f"{name}: {speed:.2f} volumes/s" for name, speed in speeds.items()))


if __name__ == "__main__":
    main()
