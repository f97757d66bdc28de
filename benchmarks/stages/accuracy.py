"""That the speed costs no accuracy: our training and the published way on the same small data, over seeds."""

import csv
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pandas as pd

from benchmarks import child, data, ours
from benchmarks.stage import at_most, stage
from benchmarks.stages.pack import clear
from deepemotion.dataset.description import Dataset
from deepemotion.labels.table import Labels, write
from deepemotion.packing.subject import PackRequest, pack_subject
from deepemotion.samples.load import load

_SEEDS = range(5)
# With a Z of 8, the last convolution sees a depth of two, whose bfloat16 gradient oneDNN gets wrong.
_SHAPE = (20, 26, 16)
_BATCH = 20


def write_labels(root: Path, path: Path) -> None:
    """Write the true story's emotions as labels, 4 s late, as the response is."""
    with (root / "truth" / "story.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    index = {name: i for i, name in enumerate(data.CLASSES)}
    emotion = np.array([index.get(row["emotion"], -1) for row in rows])
    write(
        path,
        classes=data.CLASSES,
        movie_time=np.array([float(row["movie_time"]) for row in rows]) + 4,
        emotion=emotion,
        votes=np.where(emotion >= 0, 8, 0),
        observers=8,
        soft=np.eye(len(data.CLASSES) + 1, dtype=np.float32)[emotion][:, :-1],
    )


def _ours(out: Path, epochs: int, precision: str) -> list[float]:
    found = []
    for seed in _SEEDS:
        wanted = ours.trial(["01"], epochs, _BATCH, 1, precision, "none", seed=seed)
        found.append(ours.run(wanted, out, out / "labels.tsv", lambda _: None)["accuracy_validation"])
    return found


def _published(store: Path, frame: pd.DataFrame, epochs: int) -> list[float]:
    import torch

    from benchmarks import published

    torch.set_num_threads(1)
    found = []
    for seed in _SEEDS:
        torch.manual_seed(seed)
        training = published.epochs(published.Volumes(store, frame), len(data.CLASSES), _BATCH, 1e-3)
        found.append([next(training)[1] for _ in range(epochs)][-1])
    return found


def _frame(out: Path) -> pd.DataFrame:
    """Return the volumes and labels that our trainings see, for the published loader."""
    settings = ours.trial(["01"], 1, _BATCH, 1, normalisation="none").data
    table = load(out, ["01"], Labels.read(out / "labels.tsv"), settings).table
    return pd.DataFrame({"file": table.run.astype(int) - 1, "index": table.index_in_run, "label": table.label})


def main() -> None:
    """Measure and report."""
    from benchmarks import published

    with stage("accuracy", __doc__) as this:
        root = data.simulated(_SHAPE, (60,) * 8, signal=10.0)
        out = data.FOLDER / "out-accuracy"
        clear(out)
        dataset = Dataset.of_folder(root)
        pack_subject(PackRequest(dataset, root, "01", out))
        published.pack([dataset.bold(root, "01", segment.run) for segment in dataset.segments], out / "published.zarr")
        write_labels(root, out / "labels.tsv")
        frame = _frame(out)
        epochs = 3 if this.quick else 40
        accuracies = {
            "published": child.call(_published, out / "published.zarr", frame, epochs)[0],
            **{f"ours, {precision}": child.call(_ours, out, epochs, precision)[0] for precision in ("float32", "bf16")},
        }
        baseline = accuracies["published"]
        for name, values in accuracies.items():
            this.note(f"{name}: {100 * mean(values):.1f} % ± {100 * stdev(values) / len(values) ** 0.5:.1f} (SE)")
            if values is not baseline:
                error = ((stdev(values) ** 2 + stdev(baseline) ** 2) / len(_SEEDS)) ** 0.5
                below = (mean(baseline) - mean(values)) / error if error else 0.0
                this.number(f"{name}: below the published way", below, "standard errors", at_most(2))
        this.note(f"validation accuracy after {epochs} epochs, {len(_SEEDS)} seeds, {len(frame)} labelled volumes")


if __name__ == "__main__":
    main()
