"""From samples in memory to dense float32 batches for training, against the published loader, on the CPU."""

import itertools
from pathlib import Path

import pandas as pd
import torch

from benchmarks import child, data
from benchmarks.stage import at_least, stage
from benchmarks.timing import Timings, interleave
from deepemotion.samples.load import load
from deepemotion.samples.samples import Samples
from deepemotion.settings.schema import DataSettings
from deepemotion.subject_file.reader import subject_path

_BATCH = 20
_CLOSEST = DataSettings(lag_s=0, drop_overlaps=False, normalisation="none")
_NORMALISED = DataSettings(lag_s=0, drop_overlaps=False, normalisation="zscore+detrend")


def frame(runs: int, volumes: int) -> pd.DataFrame:
    """Return the published loader's labels of a folder that `data.packed` made."""
    places = itertools.product(range(runs), range(volumes))
    return pd.DataFrame(
        [(file, index, (file * volumes + index) // 5 % len(data.CLASSES)) for file, index in places],
        columns=["file", "index", "label"],
    )


def _all_dense(loaded: Samples, order: torch.Tensor) -> None:
    for rows in order.split(_BATCH):
        loaded.dense(rows)


def _measure(folder: Path, store: Path, runs: int, volumes: int, rounds: int) -> Timings:
    from torch.utils.data import DataLoader

    from benchmarks import published

    labels = data.read_labels(folder)
    closest = load(folder, ["01"], labels, _CLOSEST)
    normalised = load(folder, ["01"], labels, _NORMALISED)
    order = torch.randperm(len(closest), generator=torch.Generator().manual_seed(0))
    loader = DataLoader(published.Volumes(store, frame(runs, volumes)), _BATCH, shuffle=True)
    ways = {
        "published": lambda: [None for _ in loader],
        "dense": lambda: _all_dense(closest, order),
        "dense, z-scored": lambda: _all_dense(normalised, order),
    }
    return interleave(ways, rounds)


def main() -> None:
    """Measure and report."""
    from benchmarks import published

    with stage("batches", __doc__) as this:
        runs, volumes = (8, 20) if this.quick else (8, 25)
        folder = data.packed(data.shape(this.quick), volumes, runs)
        store = folder / "published.zarr"
        published.from_subject(subject_path(folder, "01"), store)
        timings, _ = child.call(_measure, folder, store, runs, volumes, 3 if this.quick else 9)
        this.ratio("as the published way has them", timings, "published", "dense", at_least(3))
        this.ratio("z-scored and detrended", timings, "published", "dense, z-scored", at_least(3))
        count = runs * volumes
        this.note(" · ".join(f"{name}: {count / s:.0f} volumes/s" for name, s in timings.medians().items()))


if __name__ == "__main__":
    main()
