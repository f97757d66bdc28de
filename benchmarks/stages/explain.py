"""Whether maps find what was planted: overlap with the simulated networks, of models with true and permuted labels.

Overlap is the area under the ROC curve of |map| for the voxels of an emotion's network within the mask, mean over
emotions: 0.5 is chance. One dataset of one subject a seed.
"""

import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import joblib
import pandas as pd

from benchmarks import data
from benchmarks.stage import Stage, at_least, stage
from deepemotion import config_files
from deepemotion.commands.label import label
from deepemotion.dataset.description import Dataset
from deepemotion.packing.subject import PackRequest, pack_subject
from deepemotion.settings.schema import make_trial, read_settings
from deepemotion.simulation.folder import simulate
from deepemotion.simulation.parameters import Parameters
from deepemotion.trained import explanation, saliency
from deepemotion.trained.explanation import Options
from deepemotion.trained.trained import load_trained
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

CPUS = 2
SIGNAL = 3.0
STEPS = 16
# Epochs until the training accuracy is close to 1.
MODELS = {"cnn3d": 12, "linear": 20}
LABELS = {"true": 0, "permuted": 1}


def one(seed: int, quick: bool) -> list[dict[str, Any]]:
    """Return the rows of a dataset, from the file that an earlier run left where there is one."""
    done = data.FOLDER / f"explain{'-quick' if quick else ''}" / f"{seed}.csv"
    if not done.exists():
        done.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            pd.DataFrame(overlaps(seed, quick, Path(folder))).to_csv(done, index=False)
    return pd.read_csv(done).to_dict("records")


def overlaps(seed: int, quick: bool, folder: Path) -> list[dict[str, Any]]:
    """Simulate, label and pack a subject, train each model on true and permuted labels, and map it."""
    root, packed, labels = folder / "dataset", folder / "packed", folder / "labels.tsv"
    shape = (12, 14, 10) if quick else (24, 32, 16)
    parameters = Parameters(subjects=1, shape=shape, volumes_per_run=20 if quick else 50, signal=SIGNAL, seed=seed)
    simulate(root, parameters, jobs=1)
    label(root / "annotations", str(root / "dataset.yaml"), "interval", labels, observers="av")
    pack_subject(PackRequest(Dataset.of_folder(root), root, "01", packed))
    rows = []
    for model, epochs in MODELS.items():
        for kind, permutation in LABELS.items():
            changes = [f"model.name={model}", f"train.epochs={3 if quick else epochs}", "data.drop_overlaps=false"]
            changes += [f"data.permutation={permutation}", f"train.seed={seed}"]
            trial = make_trial(read_settings(config_files.find("demo"), changes), ["01"], [])
            directory = TrialDirectory(folder / f"{model}_{kind}")
            result = train(trial, packed, labels, directory, lambda metrics: None)
            trained = load_trained(directory, packed, labels)
            for method, maps in explanation.maps(trained, Options(most=2 if quick else 10, steps=STEPS)):
                found = [explanation.overlap(one, trained, root / "truth") for one in maps]
                row = {"seed": seed, "model": model, "labels": kind, "method": method, "overlap": mean(found)}
                rows.append(row | {"accuracy": result["accuracy_validation"]})
    return rows


def tell(this: Stage, table: pd.DataFrame) -> None:
    """Add each model's and method's overlap, and by how much true labels exceed permuted ones, seed by seed."""
    for (model, method), rows in table.groupby(["model", "method"], sort=False):
        by_seed = rows.pivot(index="seed", columns="labels", values="overlap")
        accuracy = rows.groupby("labels")["accuracy"].mean()
        for kind in LABELS:
            this.number(
                f"{model}, {method}: overlap, {kind} labels",
                mean(by_seed[kind]),
                "",
                note=f"± {stdev(by_seed[kind]):.3f} (SD over seeds); validation accuracy {accuracy[kind]:.2f}",
            )
        gain = by_seed["true"] - by_seed["permuted"]
        better = f"higher in {int((gain > 0).sum())} of {len(gain)} seeds"
        # Grad-CAM is as coarse as the last convolution: an eighth of these small volumes' sides or so.
        target = at_least(0.05) if method == saliency.INTEGRATED_GRADIENTS else None
        this.number(f"{model}, {method}: true less permuted", mean(gain), "", target, better)


def main() -> None:
    """Measure and report."""
    with stage("explain", __doc__) as this:
        seeds = range(2 if this.quick else 10)
        found = joblib.Parallel(n_jobs=CPUS)(joblib.delayed(one)(seed, this.quick) for seed in seeds)
        tell(this, pd.DataFrame([row for rows in found for row in rows]))
        this.note(f"signal {SIGNAL:g} %, one subject a seed, random split, {STEPS} steps of integrated gradients")


if __name__ == "__main__":
    main()
