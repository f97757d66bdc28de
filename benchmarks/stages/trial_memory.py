"""What a single-subject trial's memory holds beside its model, its activations and its int16 samples.

Measured with the allocator as it comes, which gives large buffers back at once: a peak is then what is alive. The heap
that training keeps for speed has room for more, by how it happens to be cut, and would hide the difference.
"""

import importlib
from pathlib import Path

from benchmarks import child, data, ours
from benchmarks.stage import at_most, stage
from benchmarks.stages.epoch import BATCH
from deepemotion.training import malloc

# Many volumes to load and predict, few to train on: memory is the same as with more, and the time bearable.
_VALIDATION_SHARE = 0.9


def _imports() -> None:
    for name in ("torch", "ray"):
        importlib.import_module(name)


def _trial(folder: Path, batch_size: int, keep_pages: bool) -> int:
    _imports()
    if not keep_pages:
        malloc.keep_pages = lambda: None
    wanted = ours.trial(["01"], 2, batch_size, 1, validation_share=_VALIDATION_SHARE)
    result = ours.run(wanted, folder, folder / "labels.tsv", lambda _: None)
    return int(result["n_train"] + result["n_validation"])


def _bare(shape: data.Shape, batch_size: int) -> None:
    from benchmarks.bare import BareEpoch

    _imports()
    malloc.keep_pages = lambda: None
    bare = BareEpoch(shape, batch_size, 1)
    bare.train(3)
    bare.predict(1)


def main() -> None:
    """Measure and report."""
    with stage("trial_memory", __doc__) as this:
        shape = data.shape(this.quick)
        folder = data.packed(shape, 20 if this.quick else 25)
        _, imports = child.call(_imports)
        _, bare = child.call(_bare, shape, BATCH)
        volumes, whole = child.call(_trial, folder, BATCH, False)
        _, kept = child.call(_trial, folder, BATCH, True)
        with data.subject(folder) as file:
            samples = 2 * volumes * file.voxels
        # Both peaks contain the imports: what is left is over them, the model, the activations and a dense batch.
        beyond = whole - bare - samples
        this.number("beyond imports, model, activations, samples", beyond / 1e6, "MB", at_most(150))
        parts = {"the trial": whole, "its samples": samples, "bare steps": bare, "import torch, ray": imports}
        this.note(" · ".join(f"{name}: {size / 1e6:.0f} MB" for name, size in parts.items()))
        this.note(f"with the heap that training keeps, the trial: {kept / 1e6:.0f} MB")
        this.note(f"peaks of resident memory; batch {BATCH}, {volumes} labelled volumes, z-scored and detrended")


if __name__ == "__main__":
    main()
