"""How time and memory of each stage grow over 1, 2, 4 and 8 times the volumes, voxels or trials."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import child, data, growth_points
from benchmarks.stage import RESULTS, stage

_FACTORS = (1, 2, 4, 8)
_OF_DATA = (growth_points.pack, growth_points.load, growth_points.batches, growth_points.epoch)
_OF_TRIALS = (growth_points.planned, growth_points.results, growth_points.status)
_CURVES: list[tuple[Callable[[str, int], float], str]] = [
    *((function, axis) for axis in ("volumes", "voxels") for function in _OF_DATA),
    *((function, "trials") for function in _OF_TRIALS),
]


@dataclass(frozen=True)
class Curve:
    """A stage over one axis: processor seconds and megabytes at each factor."""

    name: str
    factors: tuple[int, ...]
    seconds: list[float]
    megabytes: list[float]

    def exponent(self, values: list[float]) -> float:
        """Return the slope of the least-squares line through the logarithms: 1 for growth in proportion."""
        return float(np.polyfit(np.log(self.factors), np.log(values), 1)[0])


def _curve(function: Callable[[str, int], float], axis: str, factors: tuple[int, ...]) -> Curve:
    seconds, megabytes = [], []
    for factor in factors:
        growth_points.prepare(axis, factor)
        (processor, peak), _ = child.call(growth_points.point, function, axis, factor)
        seconds.append(processor)
        megabytes.append(peak / 1e6)
    return Curve(f"{function.__name__} over {axis}", factors, seconds, megabytes)


def _plot(curves: list[Curve], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    styles = {"volumes": "-", "voxels": "--", "trials": "-."}
    # Okabe and Ito's colours, which colour-blind readers can tell apart.
    colours = dict(
        zip(
            ("pack", "load", "batches", "epoch", "planned", "results", "status"),
            ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000"),
            strict=True,
        )
    )
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for curve in curves:
        stage_name, _, axis = curve.name.partition(" over ")
        look = {"color": colours[stage_name], "linestyle": styles[axis], "marker": "o", "markersize": 3}
        left.plot(curve.factors, np.array(curve.seconds) / curve.seconds[0], label=curve.name, **look)
        right.plot(curve.factors, curve.megabytes, **look)
    left.plot(_FACTORS, _FACTORS, color="0.7", linewidth=4, zorder=0, label="in proportion")
    left.set(ylabel="processor time, relative to 1", yscale="log")
    right.set(ylabel="peak memory of the process (MB)", yscale="log")
    for axes in (left, right):
        axes.set(xlabel="times as much", xscale="log", xticks=_FACTORS, xticklabels=_FACTORS)
        axes.minorticks_off()
    figure.legend(loc="outside right center", frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure and report."""
    with stage("growth", __doc__) as this:
        factors = _FACTORS[:2] if this.quick else _FACTORS
        curves = [_curve(function, axis, factors) for function, axis in _CURVES]
        for curve in curves:
            seconds = ", ".join(f"{value:.2f}" for value in curve.seconds)
            megabytes = ", ".join(f"{value:.0f}" for value in curve.megabytes)
            note = f"{seconds} s; memory exponent {curve.exponent(curve.megabytes):.2f} ({megabytes} MB)"
            this.number(curve.name, curve.exponent(curve.seconds), "exponent", note=note)
        this.note(f"processor time, fastest of some rounds, at {', '.join(map(str, factors))} times the least size")
        this.note("a process begins with its imports, so that memory grows less than the data")
        folder = data.FOLDER if this.quick else RESULTS
        folder.mkdir(parents=True, exist_ok=True)
        _plot(curves, folder / "growth.png")


if __name__ == "__main__":
    main()
