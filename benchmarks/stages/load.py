"""A subject's labelled volumes from a warm disk into memory, against a memory copy of as many bytes."""

from pathlib import Path

import numpy as np
from torch import Tensor

from benchmarks import child, data
from benchmarks.stage import at_least, stage
from benchmarks.timing import Timings, interleave
from deepemotion.samples.load import load
from deepemotion.settings.schema import DataSettings

_KINDS = {
    "published settings": DataSettings(lag_s=0, drop_overlaps=False, normalisation="none"),
    "z-scored and detrended": DataSettings(lag_s=0, drop_overlaps=False, normalisation="zscore+detrend"),
}


def _measure(folder: Path, settings: DataSettings, rounds: int) -> tuple[Timings, int, int]:
    labels = data.read_labels(folder)
    loaded = load(folder, ["01"], labels, settings)
    held = [loaded.held(), *(value for value in vars(loaded).values() if isinstance(value, Tensor))]
    count, size = len(loaded), sum(tensor.nbytes for tensor in held)
    source = np.random.default_rng(0).integers(0, 1000, size // 2, dtype=np.int16)
    del loaded, held
    # Into memory that is new to the process, as that of the samples is.
    ways = {"copy": lambda: source.copy(), "load": lambda: load(folder, ["01"], labels, settings)}
    return interleave(ways, rounds, warm_up=2), count, size


def main() -> None:
    """Measure and report."""
    with stage("load", __doc__) as this:
        folder = data.packed(data.shape(this.quick), 20 if this.quick else 100)
        for kind, settings in _KINDS.items():
            (timings, count, size), _ = child.call(_measure, folder, settings, 5 if this.quick else 15)
            this.ratio(f"{kind}: speed against a copy", timings, "copy", "load", at_least(0.8))
            seconds = timings.medians()["load"]
            this.note(f"{kind}: {count} volumes, {size / 1e6:.0f} MB: {count / seconds:.0f} volumes/s")


if __name__ == "__main__":
    main()
