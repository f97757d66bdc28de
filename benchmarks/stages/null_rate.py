"""How often data without a signal are called significant: simulate, label, pack, train, permute, test, many times over.

A permutation test at 0.05 has to be wrong in about one of twenty such datasets, under every protocol: under the random
split, too, where accuracies are far above chance because neighbouring volumes are alike.
"""

import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from scipy import stats

from benchmarks import data
from benchmarks.stage import Stage, at_most, stage
from deepemotion import config_files
from deepemotion.commands.label import label
from deepemotion.dataset.description import Dataset
from deepemotion.packing.subject import PackRequest, pack_subject
from deepemotion.settings.schema import make_trial, read_settings
from deepemotion.simulation.folder import simulate
from deepemotion.simulation.parameters import Parameters
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

PERMUTATIONS = 19
LEVEL = 0.05
CPUS = 2
MEMORY = Path("/dev/shm")
# Fewer folds than the real movie allows, since a training is counted in thousands here.
PROTOCOLS = {"random": [None], "run": [3, 6], "block": [1, 2]}
KINDS = ("shift", "block")
SETTINGS = ("model.name=linear", "train.epochs=3", "split.folds=2", "split.block_s=60")


def dataset(seed: int, signal: float, folder: Path) -> tuple[Path, Path]:
    """Simulate, label and pack one subject; return the packed folder and the labels' file."""
    packed, labels = folder / "packed", folder / "labels.tsv"
    parameters = Parameters(subjects=1, shape=(12, 14, 10), volumes_per_run=50, signal=signal, seed=1000 + seed)
    root = folder / "dataset"
    simulate(root, parameters, jobs=1)
    label(root / "annotations", str(root / "dataset.yaml"), "interval", labels, observers="av")
    described = Dataset.of_folder(root)
    pack_subject(PackRequest(described, root, described.subjects[0], packed))
    return packed, labels


def p_values(seed: int, signal: float, folder: Path) -> list[dict[str, Any]]:
    """Return a row a protocol and kind of permutation: accuracy, what permutations score, and p of one dataset."""
    from launcher.evidence.statistics import score_table
    from launcher.tables.held_out import SPLITS, HeldOutPredictions
    from launcher.tables.selection import Trials

    packed, labels = dataset(seed, signal, folder)
    rows = []
    for protocol, kind in itertools.product(PROTOCOLS, KINDS):
        trials, parts = [], []
        for fold, k in itertools.product(PROTOCOLS[protocol], range(PERMUTATIONS + 1)):
            changes = [*SETTINGS, f"split.protocol={protocol}", f"data.permutation={k}", f"data.permute={kind}"]
            changes += [] if fold is None else [f"split.fold={fold}"]
            trial = make_trial(read_settings(config_files.find("demo"), changes), ["01"], [])
            name = f"{protocol}_{kind}_{fold}_{k}"
            directory = TrialDirectory(folder / "trials" / name)
            result = train(trial, packed, labels, directory, lambda metrics: None)
            place = {"trial": name, "training_set": "sub-01", "condition": kind, "setup": kind, "protocol": protocol}
            place |= {"fold": fold or 0, "seed": 0, "permutation": k, "state": "done", "missing": ""}
            place |= {"outer": None, "chosen": ""}
            trials.append(place | {key: value for key, value in result.items() if isinstance(value, float)})
            predictions = pd.read_parquet(directory.predictions).assign(trial=name)
            parts.append(predictions[predictions["split"].isin(SPLITS)].assign(permutation=k))
            shutil.rmtree(directory.path)
        told = pd.concat(parts)
        held_out = HeldOutPredictions(told[told["permutation"] == 0], told[told["permutation"] > 0].assign(n=1))
        (row,) = score_table(Trials(pd.DataFrame(trials)), held_out).to_dict("records")
        kept = ("accuracy", "accuracy_low", "accuracy_high", "label_only_accuracy", "permutations", "p", "n")
        rows.append({"protocol": protocol, "kind": kind, "seed": seed, **{key: row[key] for key in kept}})
    return rows


def one(seed: int, signal: float, quick: bool) -> list[dict[str, Any]]:
    """Return the rows of a dataset, from the file that an earlier run left where there is one."""
    done = data.FOLDER / f"null-rate{'-quick' if quick else ''}" / f"{signal:g}_{seed}.csv"
    if not done.exists():
        done.parent.mkdir(parents=True, exist_ok=True)
        # In memory where there is a file system for that: a training syncs its files ten times a second.
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            rows = p_values(seed, signal, Path(folder))
        pd.DataFrame(rows).to_csv(done, index=False)
    return pd.read_csv(done).to_dict("records")


def tell(this: Stage, table: pd.DataFrame, what: str, null: bool) -> None:
    """Add the share of significant datasets of each protocol and kind."""
    for (protocol, kind), rows in table.groupby(["protocol", "kind"], sort=False):
        hits, n = int((rows["p"] <= LEVEL + 1e-9).sum()), len(rows)
        interval = stats.binomtest(hits, n).proportion_ci(0.95)
        # An exact test stays below this in 99 of 100 runs of the benchmark.
        limit = float(stats.binom.ppf(0.99, n, LEVEL)) / n
        note = (
            f"{hits} of {n}, binomial 95 % {interval.low:.3f} to {interval.high:.3f};"
            f" accuracy {rows['accuracy'].mean():.3f}, labels alone {rows['label_only_accuracy'].mean():.3f},"
            f" mean p {rows['p'].mean():.2f}"
        )
        where = f"{what}: p <= {LEVEL:g} under {protocol}, {kind} permutation"
        this.number(where, hits / n, "", at_most(limit) if null else None, note)


def main() -> None:
    """Measure and report."""
    with stage("null_rate", __doc__) as this:
        seeds = 3 if this.quick else 100
        for signal, what, count in ((0.0, "no signal", seeds), (1.0, "signal of 1 %", 3 if this.quick else 20)):
            found = joblib.Parallel(n_jobs=CPUS)(joblib.delayed(one)(seed, signal, this.quick) for seed in range(count))
            table = pd.DataFrame([row for rows in found for row in rows])
            tell(this, table, what, null=signal == 0)
        this.note(f"{PERMUTATIONS} permutations each; one subject, linear model, {', '.join(SETTINGS[1:])}")


if __name__ == "__main__":
    main()
