"""An epoch whose volumes stay in their files, on a warm disk, against one whose volumes are in memory."""

from pathlib import Path
from typing import Any

from benchmarks import child, data, ours
from benchmarks.child import Turns
from benchmarks.stage import at_most, stage
from benchmarks.stages.epoch import BATCH, THREADS, VALIDATION_SHARE, volumes_of
from benchmarks.timing import Timings

# A trial may use so much memory: none of its volumes fits.
_LITTLE = 1


def _epochs(turns: Turns, folder: Path, model: str, rounds: int, memory_bytes: int | None) -> None:
    wanted = ours.trial(["01"], rounds + 3, BATCH, THREADS, validation_share=VALIDATION_SHARE)
    changes: dict[str, dict[str, Any]] = {"model": {"name": model}}
    ours.epochs_in_turn(turns, ours.changed(wanted, changes), folder, memory_bytes)


def measure(folder: Path, model: str, rounds: int) -> Timings:
    """Return the seconds of epochs in memory and streamed, in turn."""
    timings = Timings()
    with (
        child.Child(_epochs, folder, model, rounds, None) as held,
        child.Child(_epochs, folder, model, rounds, _LITTLE) as streamed,
    ):
        for number in range(-1, rounds):
            ways = {"in memory": held, "streamed": streamed}
            for name, trained in list(ways.items())[:: -1 if number % 2 else 1]:
                epoch, _, processor = trained.round()
                if number >= 0:
                    timings.add(name, epoch, processor)
    return timings


def main() -> None:
    """Measure and report."""
    with stage("streaming", __doc__) as this:
        shape = data.shape(this.quick)
        runs, volumes = volumes_of(this.quick)
        timings = measure(data.packed(shape, volumes, runs), "cnn3d", 5)
        this.ratio("cnn3d: streamed epoch, against in memory", timings, "streamed", "in memory", at_most(1.15))
        # The least work a volume that there is to read the next ones behind.
        many = 20 if this.quick else 25
        timings = measure(data.packed(shape, many), "linear", 9)
        this.ratio("linear: streamed epoch, against in memory", timings, "streamed", "in memory")
        this.note(" · ".join(f"linear, {name}: {8 * many / s:.0f} volumes/s" for name, s in timings.medians().items()))
        this.note(f"batch {BATCH}, {THREADS} thread(s) and the readers, epochs with validation")


if __name__ == "__main__":
    main()
