"""How often a brain that is no better than its controls is said to beat them, in simulated predictions.

Brain and controls answer by the same rules, so that none is better in truth. Where a film has few stretches of equal
labels, or answers go on for longer than these, a test of volumes would claim a difference far too often.
"""

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from benchmarks.stage import Stage, at_most, stage

DATASETS = 400
CPUS = 2
RUNS = 8
CLASSES = ("ANGER", "FEAR", "HAPPINESS", "LOVE", "SADNESS")
# Volumes of a run: of the real film, and of short ones.
FILMS = {"1,520 volumes": 190, "480 volumes": 60, "240 volumes": 30, "120 volumes": 15}
# The mean number of volumes in a stretch of equal labels, and in one of equal answers of a decoder that knows nothing.
STRETCH, DRIFT = 8, 20
SUBJECTS = 6

Names = NDArray[np.int64]
Floats = NDArray[np.float64]
Generator = np.random.Generator


def stretches(rng: Generator, volumes: int, mean: float) -> Names:
    """Return (volumes,) classes that go on for `mean` volumes on average."""
    begins = rng.random(volumes) < 1 / mean
    begins[0] = True
    return rng.integers(len(CLASSES), size=int(begins.sum()))[np.cumsum(begins) - 1]


def answers(rng: Generator, label: Names, kind: str, skill: float) -> Names:
    """Return the answers (volumes,) of one decoder; `skill` of its wrong ones are put right, at random by stretch."""
    if kind == "answers that drift":
        given = stretches(rng, len(label), DRIFT)
    else:
        # Some stretches are easy for a decoder and others hard.
        stretch = np.cumsum(np.r_[True, np.diff(label) != 0]) - 1
        chance = rng.beta(0.6, 1.4, int(stretch[-1]) + 1)[stretch]
        given = np.where(rng.random(len(label)) < chance, label, rng.integers(len(CLASSES), size=len(label)))
    stretch = np.cumsum(np.r_[True, np.diff(label) != 0]) - 1
    return np.where(rng.random(int(stretch[-1]) + 1)[stretch] < skill, label, given)


def beats(seed: int, volumes: int, kind: str, controls: int, skill: float) -> dict[str, bool]:
    """Return whether one model, and six subjects' together, beat their controls in one simulated film."""
    from deepemotion.samples.movie_blocks import label_blocks
    from launcher.evidence.controls import compare

    rng = np.random.default_rng(seed)
    label = [stretches(rng, volumes, STRETCH) for _ in range(RUNS)]
    run, time = np.repeat(np.arange(RUNS), volumes), np.tile(2.0 * np.arange(volumes), RUNS)
    block = label_blocks(run, time, np.concatenate(label))

    def right(skill: float) -> Floats:
        given = [answers(rng, of_run, kind, skill) == of_run for of_run in label]
        return np.concatenate(given).astype(np.float64)

    # All subjects hear alike to a control that is made of the film, so its answers are the same for each.
    of_film = [right(0.0) for _ in range(controls)]
    brain = np.stack([right(skill) for _ in range(SUBJECTS)])
    subject = np.repeat(np.arange(SUBJECTS), len(block))
    alone = [compare(brain[0], control, block, None) for control in of_film]
    together = [
        compare(brain.ravel(), np.tile(control, SUBJECTS), np.tile(block, SUBJECTS), subject) for control in of_film
    ]
    return {
        "one model": all(one["beats"] for one in alone),
        f"{SUBJECTS} subjects together": all(one["beats"] for one in together),
    }


def tell(this: Stage, found: list[dict[str, bool]], what: str, null: bool) -> None:
    """Add the share of films in which the brain is said to beat its controls."""
    for model, said in pd.DataFrame(found).items():
        hits, n = int(said.sum()), len(said)
        interval = stats.binomtest(hits, n).proportion_ci(0.95)
        # A test at 5 % stays below this in 99 of 100 runs of the benchmark.
        limit = float(stats.binom.ppf(0.99, n, 0.05)) / n
        note = f"{hits} of {n}, binomial 95 % {interval.low:.3f} to {interval.high:.3f}"
        this.number(f"{what}: {model} beats controls", hits / n, "", at_most(limit) if null else None, note)


def main() -> None:
    """Measure and report."""
    with stage("null_controls", __doc__) as this:
        datasets = 10 if this.quick else DATASETS
        kinds = ("answers by stretches", "answers that drift")
        cases = [(film, kind, 1, 0.0) for film in FILMS for kind in kinds]
        cases += [("1,520 volumes", kinds[0], 3, 0.0), ("1,520 volumes", kinds[0], 3, 0.2)]
        cases += [(film, kinds[0], 1, 0.2) for film in FILMS]
        for film, kind, controls, skill in cases:
            work = (joblib.delayed(beats)(seed, FILMS[film], kind, controls, skill) for seed in range(datasets))
            found = joblib.Parallel(n_jobs=CPUS)(work)
            better = f", brain right in {100 * skill:.0f} % more stretches" if skill else ""
            several = f"{controls} controls" if controls > 1 else "1 control"
            tell(this, found, f"{film}, {kind}, {several}{better}", null=skill == 0)
        this.note(
            f"stretches of {STRETCH} volumes on average, drifting answers of {DRIFT}; controls equal in all subjects"
        )


if __name__ == "__main__":
    main()
