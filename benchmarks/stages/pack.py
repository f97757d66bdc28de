"""Packing one run on one core: int16 against decompression alone and the published way, float32 against the former."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from isal import igzip

from benchmarks import child, data
from benchmarks.machine import ROOT
from benchmarks.stage import at_least, at_most, stage
from benchmarks.timing import Timings, interleave
from deepemotion.dataset.description import Dataset
from deepemotion.packing.nifti import read_header
from deepemotion.packing.subject import PackRequest, pack_subject

_RUN = 1
_PEAK = """
import sys
from pathlib import Path
from deepemotion.dataset.description import Dataset
from deepemotion.packing.subject import PackRequest, pack_subject
root, out = map(Path, sys.argv[1:])
dataset = Dataset.of_folder(root)
dataset = dataset.model_copy(update={"segments": dataset.segments[:1]})
pack_subject(PackRequest(dataset, root, dataset.subjects[0], out))
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


def runs_of(quick: bool) -> tuple[int, ...]:
    """Return the lengths of the simulated runs: the first one long, since what a run costs once must not show."""
    return (60, *(20,) * 7) if quick else (320, *(96,) * 7)


def one_run(root: Path) -> Dataset:
    """Return the dataset's description with its first run only."""
    dataset = Dataset.of_folder(root)
    return dataset.model_copy(update={"segments": dataset.segments[:_RUN]})


def decompress(path: Path) -> None:
    """Read a run as packing does, a volume at a time, and do nothing with it."""
    header = read_header(path)
    size = header.dtype.itemsize * header.shape[0] * header.shape[1] * header.shape[2]
    with igzip.open(path, "rb") as file:
        file.read(header.offset)
        while file.read(size):
            pass


def clear(out: Path) -> None:
    """Remove what was packed, and let the disk catch up: nobody shall wait for what another way left to write."""
    shutil.rmtree(out, ignore_errors=True)
    os.sync()


def pack(root: Path, dataset: Dataset, out: Path, threads: int | None = None) -> None:
    """Pack the first subject."""
    pack_subject(PackRequest(dataset, root, dataset.subjects[0], out, threads=threads))


def _use_one_core() -> None:
    # The last one: the first often serves interrupts.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _against_decompression(root: Path, out: Path, rounds: int) -> Timings:
    _use_one_core()
    dataset = one_run(root)
    path = dataset.bold(root, dataset.subjects[0], _RUN)
    ways = {"decompress": lambda: decompress(path), "pack": lambda: pack(root, dataset, out)}
    return interleave(ways, rounds, before=lambda: clear(out))


def _against_published(root: Path, out: Path, rounds: int) -> Timings:
    from benchmarks import published

    _use_one_core()
    dataset = one_run(root)
    path = dataset.bold(root, dataset.subjects[0], _RUN)
    ways = {
        "published": lambda: published.pack([path], out / "published.zarr"),
        "pack": lambda: pack(root, dataset, out),
    }
    return interleave(ways, rounds, warm_up=0, before=lambda: clear(out))


def _peak(root: Path, out: Path) -> int:
    """Return the peak memory (bytes) of packing one run in a process that has imported nothing but packing."""
    clear(out)
    words = [sys.executable, "-c", _PEAK, str(root), str(out)]
    return int(subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT).stdout) * 1024


def main() -> None:
    """Measure and report."""
    with stage("pack", __doc__) as this:
        root = data.simulated(data.shape(this.quick), runs_of(this.quick))
        out = data.FOLDER / "out-pack"
        volumes = runs_of(this.quick)[0]
        timings, _ = child.call(_against_decompression, root, out, 3 if this.quick else 11)
        this.ratio("speed against decompression alone", timings, "decompress", "pack", at_least(0.90))
        seconds = timings.medians()
        this.note(f"{volumes} volumes: {' · '.join(f'{n} {volumes / s:.0f} volumes/s' for n, s in seconds.items())}")
        timings, _ = child.call(_against_decompression, data.as_float32(root), out, 2 if this.quick else 5)
        # No target: such a run is written to disk and read again before it is stored.
        this.ratio("speed against decompression alone, float32", timings, "decompress", "pack")
        seconds = timings.medians()
        this.note(f"float32: {' · '.join(f'{n} {volumes / s:.0f} volumes/s' for n, s in seconds.items())}")
        timings, peak = child.call(_against_published, root, out, 2 if this.quick else 3)
        this.ratio("speed against the published way", timings, "published", "pack", at_least(8))
        this.note(
            f"published way: {volumes / timings.medians()['published']:.0f} volumes/s, {peak / 1e6:.0f} MB at peak"
        )
        this.number("peak memory", _peak(root, out) / 1e6, "MB", at_most(150))
        clear(out)


if __name__ == "__main__":
    main()
