"""What functional alignment gives back of an unseen subject's accuracy, where brains differ, and what it costs.

Simulated subjects whose regions lie far apart (idiosyncrasy 1), half as far, not apart at all, or say nothing: six are
trained on, two only tested on, always at a run that nobody was trained on: the paper's figure 6 without its leak.
"""

import itertools
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch

from benchmarks import child, data
from benchmarks.stage import Stage, at_least, at_most, stage
from deepemotion import config_files
from deepemotion.alignment.align import align
from deepemotion.commands.label import label
from deepemotion.dataset.description import Dataset
from deepemotion.packing.subject import PackRequest, pack_subject
from deepemotion.samples.load import load_opened
from deepemotion.settings.schema import make_trial, read_settings
from deepemotion.simulation.folder import simulate
from deepemotion.simulation.parameters import Parameters
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

CPUS = 2
MEMORY = Path("/dev/shm")
SUBJECTS, UNSEEN = 8, 2
FOLDS = (2, 4, 6)
MODELS = {
    "linear": ("model.name=linear", "train.epochs=20", "train.learning_rate=0.01"),
    "cnn3d": ("model.name=cnn3d", "train.epochs=10", "train.learning_rate=0.001"),
}
# The kinds of data: idiosyncrasy, percent signal, how many datasets, and the models and alignments tried on them.
METHODS = [("none", 50), *itertools.product(("srm", "procrustes"), (20, 50, 100))]
KINDS: dict[str, tuple[float, float, int, dict[str, list[tuple[str, int]]]]] = {
    "brains differ": (1.0, 1.0, 10, {"linear": METHODS, "cnn3d": [METHODS[0], ("srm", 50), ("procrustes", 50)]}),
    "brains differ by half": (0.5, 1.0, 10, {"linear": [METHODS[0], ("srm", 50), ("procrustes", 50)]}),
    "brains are alike": (0.0, 1.0, 10, {"linear": [METHODS[0], ("srm", 50), ("procrustes", 50)]}),
    "no signal": (1.0, 0.0, 10, {"linear": [METHODS[0], ("srm", 50), ("procrustes", 50)]}),
}
CNN_DATASETS = 3
KEYS = ["kind", "model", "method", "features", "seed"]


def dataset(seed: int, idiosyncrasy: float, signal: float, folder: Path) -> tuple[Path, Path, list[str]]:
    """Simulate, label and pack; return the packed folder, the labels' file and the subjects."""
    root, packed, labels = folder / "dataset", folder / "packed", folder / "labels.tsv"
    parameters = Parameters(
        subjects=SUBJECTS, shape=(20, 26, 8), signal=signal, idiosyncrasy=idiosyncrasy, seed=2000 + seed
    )
    simulate(root, parameters, jobs=1)
    label(root / "annotations", str(root / "dataset.yaml"), "interval", labels, observers="av")
    described = Dataset.of_folder(root)
    for subject in described.subjects:
        pack_subject(PackRequest(described, root, subject, packed))
    shutil.rmtree(root)
    return packed, labels, described.subjects


def accuracies(seed: int, kind: str, quick: bool, folder: Path) -> list[dict[str, Any]]:
    """Return a row a model, alignment and fold of one dataset: how many volumes there were, and the share right."""
    idiosyncrasy, signal, _, models = KINDS[kind]
    packed, labels, subjects = dataset(seed, idiosyncrasy, signal, folder)
    rows = []
    for model, methods in models.items():
        if model == "cnn3d" and seed >= CNN_DATASETS:
            continue
        # Each unseen subject also trains a model of its own: what its data can tell without the others.
        own = [("own", 50, [one], []) for one in subjects[:UNSEEN]]
        for fold, (method, features, seen, unseen) in itertools.product(
            FOLDS[:1] if quick else FOLDS,
            [*((method, k, subjects[UNSEEN:], subjects[:UNSEEN]) for method, k in methods), *own],
        ):
            changes = [*MODELS[model], "split.protocol=run", f"split.fold={fold}", f"align.features={features}"]
            changes += ["train.epochs=2"] * quick + [f"align.method={'none' if method == 'own' else method}"]
            trial = make_trial(read_settings(config_files.find("demo"), changes), seen, unseen)
            with tempfile.TemporaryDirectory(dir=folder) as out:
                result = train(trial, packed, labels, TrialDirectory(Path(out) / "trial"), lambda metrics: None)
            side = "unseen" if unseen else "validation"
            audit = "_unseen" if unseen else ""
            rows.append(
                {
                    **{"kind": kind, "seed": seed, "model": model, "method": method, "features": features},
                    **{"fold": fold, "n": result[f"n_{side}"], "unseen": result[f"accuracy_{side}"]},
                    **{"seen": result["accuracy_validation"], "training": result["accuracy_train"]},
                    "label_only": result[f"label_only_accuracy{audit}"],
                    "majority": result[f"majority_accuracy{audit}"],
                }
            )
    return rows


def one(seed: int, kind: str, quick: bool) -> list[dict[str, Any]]:
    """Return the rows of a dataset, from the file that an earlier run left where there is one."""
    done = data.FOLDER / f"alignment{'-quick' if quick else ''}" / f"{kind.replace(' ', '-')}_{seed}.csv"
    if not done.exists():
        done.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            rows = accuracies(seed, kind, quick, Path(folder))
        pd.DataFrame(rows).to_csv(done, index=False)
    return pd.read_csv(done).to_dict("records")


def tell(this: Stage, table: pd.DataFrame) -> None:
    """Add a figure for each kind of data, model and alignment: percent right, over all volumes of a dataset's folds."""
    columns = ["unseen", "seen", "training", "label_only", "majority"]
    weighted = table[columns].mul(table["n"], axis=0).assign(**{key: table[key] for key in ("n", *KEYS)})
    summed = weighted.groupby(KEYS, sort=False).sum()
    shares = 100 * summed[columns].div(summed["n"], axis=0)
    for kind, model in dict.fromkeys(zip(table["kind"], table["model"], strict=True)):
        of_model = shares.loc[(kind, model)]
        none = of_model.loc[("none", 50)]
        for method, features in dict.fromkeys(of_model.index.droplevel("seed")):
            values = of_model.loc[(method, features)]
            gain = values["unseen"] - none["unseen"]
            about = f"SE {sem(values['unseen']):.1f}; seen subjects {values['seen'].mean():.1f}"
            if method == "own":
                about = f"SE {sem(values['unseen']):.1f}; trained on themselves"
            elif method != "none":
                about += f"; gain {gain.mean():+.1f}, SE {sem(gain):.1f}, {int((gain > 0).sum())} of {len(gain)} up"
            else:
                about += f"; labels alone {values['label_only'].mean():.1f}, majority {values['majority'].mean():.1f}"
            name = method if method in ("none", "own") else f"{method}, {features} features"
            this.number(f"{kind}: {model}, {name}", float(values["unseen"].mean()), "%", None, about)
            if kind == "brains differ" and features == 50 and method in ("srm", "procrustes"):
                this.number(
                    f"{kind}: {model}, gain by {method}", float(gain.mean()), "points", at_least(5), "50 features"
                )


def sem(values: pd.Series) -> float:
    """Return the standard error of the mean over datasets."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def seconds_and_moments(quick: bool) -> tuple[float, int, int]:
    """Align two subjects of the real data's size by 50 features: seconds, moments, voxels."""
    folder = data.packed(data.shape(quick), 40 if quick else 440, subjects=2)
    labels = data.read_labels(folder)
    # A quarter of the film is labelled, as in the published labels.
    labels.emotion[np.arange(len(labels.emotion)) % 4 > 0] = -1
    changes = ["split.protocol=run", "split.fold=1", "align.method=srm"]
    trial = make_trial(read_settings(config_files.find("demo"), changes), ["01"], ["02"])
    files = {subject: SubjectFile.of(folder, subject) for subject in trial.all_subjects}
    samples = load_opened(files, labels, trial.data)
    torch.set_num_threads(CPUS)
    started = time.monotonic()
    align(samples, files, trial, torch.device("cpu"), print)
    return time.monotonic() - started, 7 * (40 if quick else 440), len(samples.voxels_V)


def main() -> None:
    """Measure and report."""
    with stage("alignment", __doc__) as this:
        jobs = [(seed, kind) for kind, (_, _, count, _) in KINDS.items() for seed in range(1 if this.quick else count)]
        found = joblib.Parallel(n_jobs=CPUS)(joblib.delayed(one)(seed, kind, this.quick) for seed, kind in jobs)
        tell(this, pd.DataFrame([row for rows in found for row in rows]))
        (seconds, moments, voxels), peak = child.call(seconds_and_moments, this.quick)
        size = f"{moments} volumes of {voxels} voxels, {CPUS} threads"
        this.seconds("aligning a subject", [seconds / 2], note=size)
        this.number("peak memory of aligning two subjects", peak / 2**30, "GiB", at_most(16), size)
        this.note(f"{UNSEEN} of {SUBJECTS} subjects unseen, runs {FOLDS} left out in turn; chance 20 %")


if __name__ == "__main__":
    main()
