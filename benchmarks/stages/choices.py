"""What a user can choose for speed: what each choice gains at the real shape, and what it does to accuracy."""

import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks import child, data, ours
from benchmarks.child import Turns
from benchmarks.stage import Stage, at_most, stage
from benchmarks.stages import accuracy
from benchmarks.stages.pack import clear
from benchmarks.timing import Timings
from deepemotion.dataset.description import Dataset
from deepemotion.packing.subject import PackRequest, pack_subject

_DEFAULT = "as it comes"
# Settings of `data` and `train` that differ from the defaults.
CHOICES: dict[str, dict[str, dict[str, Any]]] = {
    _DEFAULT: {},
    "bf16": {"train": {"precision": "bf16"}},
    "crop": {"data": {"crop": True}},
    "crop, bf16": {"data": {"crop": True}, "train": {"precision": "bf16"}},
    "downsample": {"data": {"downsample": 2}},
    "downsample, crop, bf16": {"data": {"crop": True, "downsample": 2}, "train": {"precision": "bf16"}},
}
# All choices take turns, each in a process that keeps its pages: 15 GB with twice as many.
_BATCH = 4
# Even cut and at half resolution, Z keeps 16 voxels: with fewer, the last convolution sees two, and oneDNN's bfloat16
# gradient of its weights then reads memory that nobody wrote.
_SHAPE = (28, 36, 36)
_QUICK_SHAPE = (34, 44, 36)


def _trial(choice: str, **options: Any) -> Any:
    return ours.changed(ours.trial(["01"], **options), CHOICES[choice])


def _epochs(turns: Turns, choice: str, folder: Path, rounds: int) -> None:
    ours.epochs_in_turn(turns, _trial(choice, epochs=rounds + 3, batch_size=_BATCH, threads=1), folder)


def speed(folder: Path, rounds: int) -> Timings:
    """Return the seconds of an epoch of each choice, in turn."""
    timings = Timings()
    children = {choice: child.Child(_epochs, choice, folder, rounds) for choice in CHOICES}
    try:
        for number in range(-1, rounds):
            for choice, trained in list(children.items())[:: -1 if number % 2 else 1]:
                epoch, _, processor = trained.round()
                if number >= 0:
                    timings.add(choice, epoch, processor)
    finally:
        for trained in children.values():
            trained.__exit__()
    return timings


def _accuracies(out: Path, choice: str, epochs: int, seeds: int) -> list[float]:
    found = []
    for seed in range(seeds):
        wanted = _trial(choice, epochs=epochs, batch_size=20, threads=1, seed=seed)
        found.append(ours.run(wanted, out, out / "labels.tsv", lambda _: None)["accuracy_validation"])
    return found


def tell_accuracy(this: Stage, found: dict[str, list[float]]) -> None:
    """Add how many points each choice is below the default, whose seeds draw the same validation volumes."""
    for choice, values in found.items():
        below = [100 * (usual - value) for usual, value in zip(found[_DEFAULT], values, strict=True)]
        error = stdev(below) / len(below) ** 0.5
        said = f"{100 * mean(values):.1f} %; SE {error:.1f} over {len(values)} seeds"
        if choice == _DEFAULT:
            this.note(f"{choice}: {said.split(';')[0]} right of the validation volumes, {len(values)} seeds")
        else:
            this.number(f"{choice}: accuracy below the default's", mean(below), "points", at_most(2 * error), said)


def main() -> None:
    """Measure and report."""
    with stage("choices", __doc__) as this:
        timings = speed(data.packed(_QUICK_SHAPE if this.quick else data.TRUE_SHAPE, 12, 2), 3 if this.quick else 5)
        for choice in CHOICES:
            if choice != _DEFAULT:
                this.ratio(f"{choice}: speed against the default", timings, _DEFAULT, choice)
        this.note(" · ".join(f"{name}: {24 / s:.1f} volumes/s" for name, s in timings.medians().items()))

        root = data.simulated(_SHAPE, (24 if this.quick else 60,) * 8, signal=3.0)
        out = data.FOLDER / "out-choices"
        clear(out)
        dataset = Dataset.of_folder(root)
        pack_subject(PackRequest(dataset, root, "01", out))
        accuracy.write_labels(root, out / "labels.tsv")
        started = time.monotonic()
        epochs, seeds = (2, 2) if this.quick else (12, 5)
        tell_accuracy(this, {choice: child.call(_accuracies, out, choice, epochs, seeds)[0] for choice in CHOICES})
        size = "x".join(map(str, _SHAPE))
        this.note(f"accuracy: {epochs} epochs on {size} voxels, {time.monotonic() - started:.0f} s in all")


if __name__ == "__main__":
    main()
