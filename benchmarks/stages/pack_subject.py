"""Packing a subject's eight runs on two cores, against what two cores decompress and against the published way."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from benchmarks import child, data
from benchmarks.stage import at_least, stage
from benchmarks.stages.pack import clear, decompress, pack, runs_of
from benchmarks.timing import Timings, interleave
from deepemotion.dataset.description import Dataset

_CORES = 2


def _decompress_all(root: Path, dataset: Dataset) -> None:
    """Decompress the runs on both cores, the longest first. isal works outside Python's lock: threads will do."""
    paths = [dataset.bold(root, dataset.subjects[0], segment.run) for segment in dataset.segments]
    with ThreadPoolExecutor(_CORES) as threads:
        list(threads.map(decompress, sorted(paths, key=lambda path: -path.stat().st_size)))


def _pack_when_asked(turns: child.Turns, root: Path, out: Path) -> None:
    dataset = Dataset.of_folder(root)
    while True:
        turns.wait()
        pack(root, dataset, out, threads=1)
        turns.done(None)


def _pack_two(workers: list[child.Child]) -> None:
    for worker in workers:
        worker.begin()
    for worker in workers:
        worker.answer()


def _against_decompression(root: Path, out: Path, rounds: int) -> Timings:
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:_CORES]))
    dataset = Dataset.of_folder(root)
    # The same subject twice, in two processes as `deepemotion pack` has them when it packs different ones.
    with ExitStack() as stack:
        workers = [stack.enter_context(child.Child(_pack_when_asked, root, out / str(i))) for i in range(2)]
        ways = {
            "decompress": lambda: _decompress_all(root, dataset),
            "pack": lambda: pack(root, dataset, out),
            "pack two": lambda: _pack_two(workers),
        }
        return interleave(ways, rounds, before=lambda: clear(out))


def _against_published(root: Path, out: Path, rounds: int) -> Timings:
    from benchmarks import published

    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:_CORES]))
    dataset = Dataset.of_folder(root)
    # It takes one file after the other, so that a short one tells its speed.
    path = dataset.bold(root, dataset.subjects[0], dataset.segments[-1].run)
    ways = {
        "published": lambda: published.pack([path], out / "published.zarr"),
        "pack": lambda: pack(root, dataset, out),
    }
    return interleave(ways, rounds, warm_up=0, before=lambda: clear(out))


def main() -> None:
    """Measure and report."""
    with stage("pack_subject", __doc__) as this:
        root = data.simulated(data.shape(this.quick), runs_of(this.quick))
        out = data.FOLDER / "out-pack-subject"
        lengths = runs_of(this.quick)
        timings, _ = child.call(_against_decompression, root, out, 3 if this.quick else 7)
        # Of the two subjects side by side, work in other processes: their processor time is not known here.
        timings.cpu.pop("pack two")
        this.ratio("one subject, speed against decompression", timings, "decompress", "pack", at_least(0.80))
        this.ratio("two subjects side by side", timings, "decompress", "pack two", at_least(0.80), factor=2)
        for name, seconds in timings.medians().items():
            total = sum(lengths) * (2 if name == "pack two" else 1)
            this.note(f"{name}: {total / seconds:.0f} volumes/s")
        timings, _ = child.call(_against_published, root, out, 2 if this.quick else 3)
        share = sum(lengths) / lengths[-1]
        this.ratio(
            "speed against the published way", timings, "published", "pack", at_least(12), share, "published: one run"
        )
        this.note(f"published way: {lengths[-1] / timings.medians()['published']:.0f} volumes/s")
        clear(out)


if __name__ == "__main__":
    main()
