"""How accuracy grows with the number of runs or subjects that are trained on, and what twice as many would give."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepemotion.scoring import power_law
from deepemotion.scoring.ceiling import Estimate
from deepemotion.scoring.growth import Growth, growth
from launcher.evidence.curve_folds import Fold, folds_of
from launcher.evidence.models import TOGETHER
from launcher.run.directory import RunDirectory
from launcher.tables import stored
from launcher.tables.held_out import read_right
from launcher.tables.selection import KEYS, Trials

# What tells a row of the table apart.
SIZES = [*KEYS, "split", "over", "size"]


@dataclass(frozen=True)
class Curve:
    """A curve of a model, or of models of a kind together, from the `used` folds of all that are `planned`.

    `place` tells it apart (`KEYS`, split, over). `growth` is of `n` volumes at each size, and `train` the training
    accuracies there. `open` folds lack a training that is not done yet; others that are not used have other sizes.
    """

    place: dict[str, Any]
    planned: int
    open: int
    used: int
    n: int
    growth: Growth
    train: tuple[float, ...]


def write_curves(run: RunDirectory, trials: Trials) -> list[str]:
    """Write tables/learning_curve.csv where a run has learning curves, and return a sentence for each."""
    parts = trials.brain.parts
    if not len(parts):
        return []
    wanted = Trials(pd.concat([trials.brain.latest.table, parts.table]))
    curves = learning_curves(trials, read_right(run.tables / "predictions.parquet", wanted))
    stored.write(run.tables / "learning_curve.csv", partial(curve_table(curves).to_csv, index=False))
    return sentences(curves)


def learning_curves(trials: Trials, right: pd.DataFrame) -> list[Curve]:
    """Return the curves of the brain's models; `right` is that of `held_out.read_right` for their trials.

    A curve is of the volumes that the whole training set is tested on: of the left-out subjects where there are any,
    else of the validation volumes; over subjects, of those of the subject that each of the parts has.
    """
    groups: dict[tuple[Any, ...], list[Fold]] = {}
    for one in folds_of(trials.brain, right):
        groups.setdefault(tuple(one.place.values()), []).append(one)
    for prefix, together in TOGETHER.items():
        members = [key for key in groups if str(key[0]).startswith(prefix)]
        for rest in dict.fromkeys(key[1:] for key in members):
            alike = [key for key in members if key[1:] == rest]
            if len(alike) > 1:
                groups[together, *rest] = [one for key in alike for one in groups[key]]
    return [_curve(dict(zip([*KEYS, "split", "over"], key, strict=True)), folds) for key, folds in groups.items()]


def curve_table(curves: Iterable[Curve]) -> pd.DataFrame:
    """Return a row for each size of each curve, and one for twice the last size, whose accuracy is the fitted one.

    Columns: training_set, condition, setup, protocol, split; over (runs or subjects); size; measured, False in the
    fitted row; folds (with seeds and draws) of how many planned; n volumes; accuracy with accuracy_low and _high (95
    %); accuracy_train; a, b, c of `power_law.fit`, empty where there are fewer than 3 sizes.
    """
    rows: list[dict[str, Any]] = []
    for curve in curves:
        law, twice = curve.growth.law, curve.growth.twice
        fitted = {name: np.nan if law is None else float(getattr(law, name)) for name in ("a", "b", "c")}
        counts = {"folds": curve.used, "planned": curve.planned, "n": curve.n}
        for size, found, train in zip(curve.growth.sizes, curve.growth.accuracy, curve.train, strict=True):
            scores = {**_columns(found), "accuracy_train": train}
            rows.append({**curve.place, "size": size, "measured": True, **counts, **scores, **fitted})
        if twice is not None:
            scores = {**_columns(twice), "accuracy_train": np.nan}
            rows.append(
                {**curve.place, "size": 2 * curve.growth.sizes[-1], "measured": False, **counts, **scores, **fitted}
            )
    return pd.DataFrame(rows)


def shown(curves: Iterable[Curve]) -> list[Curve]:
    """Return the curves of models together, and of models that stand alone."""
    every = list(curves)
    kinds = {str(curve.place["training_set"]) for curve in every}
    members = tuple(prefix for prefix, together in TOGETHER.items() if together in kinds)
    return [curve for curve in every if not str(curve.place["training_set"]).startswith(members)]


def sentences(curves: Iterable[Curve]) -> list[str]:
    """Return a sentence for each curve that is `shown`."""
    return [_sentence(curve) for curve in shown(curves)]


def _sentence(curve: Curve) -> str:
    place = curve.place
    unseen = " on unseen" if place["split"] == "unseen" and place["training_set"] not in TOGETHER.values() else ""
    model = f"{place['training_set']}{unseen} ({place['condition']}, {place['protocol']})"
    start = f"learning curve over {place['over']}, {model}:"
    if not curve.used:
        return f"{start} no fold has all of its parts yet"
    sizes, twice = curve.growth.sizes, curve.growth.twice
    first, last = (100 * curve.growth.accuracy[i].value for i in (0, -1))
    words = [f"{start} {first:.1f} % with {sizes[0]}, {last:.1f} % with {sizes[-1]}"]
    if twice is None:
        known = ", ".join(map(str, sizes))
        words.append(f"no curve is fitted, which needs {power_law.FEWEST_SIZES} sizes and has {known}")
    else:
        between = f" [{100 * twice.low:.1f}, {100 * twice.high:.1f}]" if twice.low == twice.low else ""
        value = f"{100 * twice.value:.1f} %{between}"
        words.append(f"by the fitted curve, twice as many ({2 * sizes[-1]}) would give {value}")
    if curve.open:
        words.append(f"{curve.open} of {curve.planned} folds lack a part that is not done yet")
    others = curve.planned - curve.open - curve.used
    if others:
        words.append(f"{others} of {curve.planned} folds have other numbers of {place['over']} and take no part")
    return "; ".join(words)


def _columns(found: Estimate) -> dict[str, float]:
    return {"accuracy": found.value, "accuracy_low": found.low, "accuracy_high": found.high}


def _curve(place: dict[str, Any], folds: list[Fold]) -> Curve:
    done = [(one, one.counts) for one in folds if one.counts is not None]
    planned, unfinished = len(folds), len(folds) - len(done)
    if not done:
        return Curve(place, planned, unfinished, 0, 0, Growth((), (), None, None), ())
    ((sizes, _),) = Counter(one.sizes for one, _ in done).most_common(1)
    used = [(one, counts) for one, counts in done if one.sizes == sizes]
    right, n, train = (np.stack([counts[i] for _, counts in used]) for i in range(3))
    found = growth(sizes, right, n, _units(place, [one for one, _ in used]))
    return Curve(place, planned, unfinished, len(used), int(n[:, -1].sum()), found, tuple(train.mean(axis=0).tolist()))


def _units(place: dict[str, Any], used: list[Fold]) -> NDArray[np.int64]:
    """Return what is resampled: models, of those that stand together; else folds; draws, where there is one fold."""
    folds = {one.fold for one in used}
    if place["training_set"] in TOGETHER.values():
        units: list[Any] = [one.place["training_set"] for one in used]
    else:
        units = [one.fold if len(folds) > 1 else one.draw for one in used]
    return pd.factorize(np.array(units))[0]
