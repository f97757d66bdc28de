"""What choosing settings does to an accuracy where predictions are noise: by validation, and by inner folds.

The whole procedure but the training: plans, results of inner trials, refits and tables are those of a run. The
predictions of each trial are drawn independently of the labels, so whatever exceeds chance is luck or selection.
"""

import json
import tempfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from numpy.random import Generator
from scipy import stats

from benchmarks.stage import Stage, at_least, at_most, stage
from deepemotion import config_files
from launcher.evidence.evidence import write_evidence
from launcher.planning import experiment
from launcher.planning.facts import DataFacts, SubjectFacts
from launcher.planning.plan import PlannedTrial, make_plan
from launcher.run import selections
from launcher.run.directory import RunDirectory

CPUS = 2
MEMORY = Path("/dev/shm")
CLASSES = ("HAPPINESS", "SADNESS", "FEAR", "LOVE", "ANGER")
FOLDS, EPOCHS = 4, 10
SWEEP = {"train.learning_rate": [1e-4, 1e-3, 1e-2], "data.lag_s": [2.0, 4.0]}
CONDITIONS = 6
# A fold's volumes, and how many in a row have one label and one prediction: neighbouring volumes are alike.
VOLUMES, ALIKE = 100, 5
SETTINGS = ("split.protocol=block", f"split.folds={FOLDS}", f"train.epochs={EPOCHS}", "model.name=linear")
ONE = SubjectFacts("noise", (12, 14, 10), (12, 14, 10), 1000, FOLDS * VOLUMES, (1, 2))
DATA = DataFacts({"01": ONE}, "noise", 1.0, len(CLASSES))


class Noise:
    """Trials whose predictions have nothing to do with the labels."""

    def __init__(self, run: RunDirectory, rng: Generator) -> None:
        self._run, self._rng = run, rng
        self._labels = {fold: self._drawn() for fold in range(1, FOLDS + 1)}

    def _drawn(self) -> np.ndarray:
        return np.repeat(self._rng.integers(len(CLASSES), size=VOLUMES // ALIKE), ALIKE)

    def finish(self, trial: PlannedTrial) -> None:
        """Write what a trial leaves that is done."""
        directory, label = self._run.trial(trial.name), self._labels[trial.fold or 1]
        epochs = [self._drawn() for _ in range(trial.trial.train.epochs)]
        accuracy = [float((prediction == label).mean()) for prediction in epochs]
        metrics = [{"accuracy/train": 0.5, "accuracy/validation": value} for value in accuracy]
        directory.write_epochs([{"epoch": number, **values} for number, values in enumerate(metrics, start=1)])
        if trial.outer is None:
            self._predictions(trial, label, epochs[-1]).to_parquet(directory.predictions)
        audit = {"label_only_accuracy": 0.2, "majority_accuracy": 0.2, "chance": 0.2, "n_train": 1, "n_unseen": 0}
        result = {"epochs": len(epochs), "accuracy_validation": accuracy[-1], "n_validation": VOLUMES, "missing": ""}
        directory.result.write_text(json.dumps({**result, **audit, "accuracy_train": 0.5, "classes": list(CLASSES)}))

    def _predictions(self, trial: PlannedTrial, label: np.ndarray, prediction: np.ndarray) -> pd.DataFrame:
        place = {"subject": "01", "run": 1, "index_in_run": np.arange(VOLUMES), "split": "validation"}
        place |= {"movie_time": 1000.0 * (trial.fold or 1) + 2 * np.arange(VOLUMES)}
        frame = pd.DataFrame(place | {"label": np.array(CLASSES)[label], "prediction": np.array(CLASSES)[prediction]})
        for i, name in enumerate(CLASSES):
            frame[f"p_{name}"] = np.where(prediction == i, 0.8, 0.05).astype(np.float32)
        return frame.astype(dict.fromkeys(("subject", "split", "label", "prediction"), "category"))


def accuracies(seed: int) -> tuple[float, float, float]:
    """Return the accuracy of the best condition, of the settings that inner folds chose, and of a condition's mean."""
    config = config_files.find("demo")
    best, nested = (
        experiment.read(config, list(SETTINGS), {"subjects": ["01"], "pooled": False, "select": select}, SWEEP)
        for select in ("best", "nested")
    )
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        run = RunDirectory(Path(folder) / "noise")
        noise = Noise(run, np.random.default_rng(seed))
        trials = [*make_plan(best, DATA), *make_plan(nested, DATA)]
        run.add_to_plan(trials)
        selections.record(run, nested, DATA)
        for trial in trials:
            noise.finish(trial)
        refits = selections.due(run)
        run.add_to_plan(refits)
        for trial in refits:
            noise.finish(trial)
        write_evidence(run)
        table = pd.read_csv(run.tables / "statistics.csv")
    assert (len(table), len(refits)) == (CONDITIONS + 1, FOLDS)
    (chosen_inside,) = table.loc[table["nested"], "accuracy"]
    conditions = table.loc[~table["nested"], "accuracy"]
    return float(conditions.max()), float(chosen_inside), float(conditions.iloc[seed % CONDITIONS])


def tell(this: Stage, what: str, accuracy: np.ndarray, above: bool | None) -> None:
    """Add how far accuracies are from chance: `above` says which way they should be, None that nothing was chosen."""
    chance = 1 / len(CLASSES)
    p = float(stats.ttest_1samp(accuracy, chance, alternative="greater").pvalue)
    se = accuracy.std(ddof=1) / len(accuracy) ** 0.5
    note = f"{(accuracy > chance).sum()} of {len(accuracy)} seeds above 20 %; mean {100 * accuracy.mean():.1f} %"
    note += f" ± {100 * se:.1f} (SE), chance 20 %"
    target = {True: at_most(0.001), False: at_least(0.01), None: None}[above]
    this.number(f"{what}: p of a t-test of the mean above chance", p, "", target, note)


def main() -> None:
    """Measure and report."""
    with stage("selection", __doc__) as this:
        seeds = 6 if this.quick else 60
        found = joblib.Parallel(n_jobs=CPUS)(joblib.delayed(accuracies)(seed) for seed in range(seeds))
        best, inside, given = np.array(found).T
        tell(this, "best of validation", best, above=True)
        tell(this, "chosen inside", inside, above=False)
        tell(this, "one condition, not chosen", given, above=None)
        this.note(
            f"{seeds} seeds; one subject, {CONDITIONS} conditions, {FOLDS} folds of {VOLUMES} volumes that are alike"
            f" in groups of {ALIKE}, {EPOCHS} epochs; predictions are noise"
        )


if __name__ == "__main__":
    main()
