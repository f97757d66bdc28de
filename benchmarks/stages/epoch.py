"""An epoch of the paper's network, everything included, against the bare steps on a tensor that is already there."""

import time
from pathlib import Path

from benchmarks import child, data, ours
from benchmarks.bare import BareEpoch
from benchmarks.child import Turns
from benchmarks.stage import at_most, stage
from benchmarks.timing import Timings

BATCH = 8
# The default of a trial. With more, a program that takes a CPU for a moment would stop all threads at their barriers.
THREADS = 1
VALIDATION_SHARE = 1 / 3
_REAL_TRAINING, _REAL_VALIDATION = 639, 160


def volumes_of(quick: bool) -> tuple[int, int]:
    """Return runs, and volumes a run, that make three batches or many: two thirds train, the others validate."""
    return (4, 36) if quick else (2, 12)


def _bare_in_turn(turns: Turns, shape: data.Shape, training: int, validation: int) -> None:
    bare = BareEpoch(shape, BATCH, THREADS)
    while True:
        turns.wait()
        processor = time.process_time()
        seconds = bare.train(training) + bare.predict(validation)
        turns.done((seconds, time.process_time() - processor))


def measure(folder: Path, shape: data.Shape, batches: tuple[int, int], rounds: int) -> tuple[Timings, list[float]]:
    """Return the seconds of our epochs and of bare ones, in turn; and those between our epochs."""
    wanted = ours.trial(["01"], rounds + 3, BATCH, THREADS, validation_share=VALIDATION_SHARE)
    timings, between = Timings(), []
    with (
        child.Child(ours.epochs_in_turn, wanted, folder) as trained,
        child.Child(_bare_in_turn, shape, *batches) as bare,
    ):
        # The first epoch loads the data and lets the heap grow.
        trained.round()
        bare.round()
        for _ in range(rounds):
            epoch, whole, processor = trained.round()
            timings.add("epoch", epoch, processor)
            timings.add("bare", *bare.round())
            between.append(whole - epoch)
    return timings, between


def main() -> None:
    """Measure and report."""
    with stage("epoch", __doc__) as this:
        # Three times as many as elsewhere: a twentieth is to be told from noise.
        runs, volumes = 4, 36 if this.quick else 18
        shape = data.shape(this.quick)
        folder = data.packed(shape, volumes, runs)
        batches = (runs * volumes * 2 // 3 // BATCH, runs * volumes // 3 // BATCH)
        timings, between = measure(folder, shape, batches, 5)
        this.ratio(
            "epoch with validation, against bare", timings, "epoch", "bare", at_most(1.05), note="with the checkpoint:"
        )
        seconds = timings.medians()["epoch"]
        real = seconds * (_REAL_TRAINING + _REAL_VALIDATION) / (runs * volumes)
        this.seconds(
            "checkpoint, tables, events", between, note=f"once an epoch, which takes {real:.1f} s on real data"
        )
        this.note(f"batch {BATCH}, float32, {THREADS} thread(s), {runs * volumes} volumes")
        this.note(" · ".join(f"{name}: {runs * volumes / s:.2f} volumes/s" for name, s in timings.medians().items()))


if __name__ == "__main__":
    main()
