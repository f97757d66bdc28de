"""Tables of trials and predictions whose truth a test chooses."""

import numpy as np
import pandas as pd

from launcher.evidence.findings import compute_findings
from launcher.tables.held_out import read_held_out
from launcher.tables.selection import Trials

CLASSES = ["ANGER", "FEAR", "LOVE"]
FOLDS = (1, 2)
VOLUMES = 60  # of a subject and fold


class Study:
    """Tables made trial by trial: each volume is answered rightly with a chance that the test chooses."""

    def __init__(self, path):
        self.path = path
        self.rng = np.random.default_rng(0)
        self.trials, self.predictions = [], []
        self.observers = None

    def trial(self, training_set, skill, fold=1, permutation=0, subjects=None, split="validation", **changes):
        name = f"trial-{len(self.trials)}"
        row = {"trial": name, "training_set": training_set, "protocol": "run", "fold": fold, "permutation": permutation}
        row |= {"condition": "lr-0.001", "setup": "a", "seed": 0, "state": "done", "missing": ""}
        row |= {"control": "", "basis": "b", "accuracy_train": 1.0, "outer": None, "chosen": ""}
        row |= {"curve": "", "draw": None, "order": "", "replaced": False}
        row |= {"label_only_accuracy": 0.4, "majority_accuracy": 0.35, "chance": 1 / 3}
        self.trials.append(row | changes)
        for subject in subjects or [training_set.removeprefix("sub-")]:
            self._answer(name, subject, fold, skill if np.isscalar(skill) else skill[subject], split)
            self._answer(name, subject, fold, 1.0, "train")
        return name

    def model(self, training_set, skill, permutations=19, null=1 / 3, **changes):
        """Add a model's two folds, and as many permuted trainings."""
        for fold in FOLDS:
            for k in range(permutations + 1):
                self.trial(training_set, null if k else skill, fold, k, **changes)

    def with_observers(self, compared, right):
        """Let the labels of later trials say how well observers agree at each volume."""
        self.observers = {"observers_compared": np.float32(compared), "observers_right": np.float32(right)}

    def control(self, control, training_set, skill, folds=FOLDS, **changes):
        """Add a control's folds, on true labels."""
        own = {"control": control, "condition": f"control-{control}", "setup": f"of-{control}"}
        return [self.trial(training_set, skill, fold, **own | changes) for fold in folds]

    def _answer(self, name, subject, fold, skill, split):
        label = np.repeat(np.arange(VOLUMES // 5) % 3, 5)
        right = np.zeros(VOLUMES, bool)
        right[self.rng.permutation(VOLUMES)[: round(skill * VOLUMES)]] = True
        prediction = np.where(right, label, (label + 1) % 3)
        rows = {"trial": name, "subject": subject, "run": np.int8(fold), "index_in_run": np.arange(VOLUMES)}
        rows |= {"movie_time": 1000.0 * fold + 2 * np.arange(VOLUMES), "split": split}
        rows |= {"label": np.array(CLASSES)[label], "prediction": np.array(CLASSES)[prediction]}
        frame = pd.DataFrame(rows | (self.observers or {}))
        for i, emotion in enumerate(CLASSES):
            frame[f"p_{emotion}"] = np.where(prediction == i, 0.8, 0.1).astype(np.float32)
        self.predictions.append(frame)

    def tables(self):
        trials = Trials(pd.DataFrame(self.trials).astype({"fold": "Int64"}))
        predictions = pd.concat(self.predictions, ignore_index=True)
        texts = ["trial", "subject", "split", "label", "prediction"]
        predictions.astype(dict.fromkeys(texts, "category")).to_parquet(self.path)
        return trials, read_held_out(self.path, trials)

    def findings(self):
        return compute_findings(*self.tables())

    def statistics(self, split="validation"):
        table = self.findings().scores
        return table[table["split"] == split].set_index("training_set")
