"""What all stages share: their options, their figures and targets, the table they print and the file they leave."""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from benchmarks import data, machine
from benchmarks.timing import Timings
from deepemotion import console

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Target:
    """What a figure has to reach."""

    sign: str
    limit: float

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}"

    def reached(self, value: float) -> bool:
        """Say whether `value` reaches it."""
        return value >= self.limit if self.sign == ">=" else value <= self.limit


def at_least(limit: float) -> Target:
    """Return the target of a figure that should be large."""
    return Target(">=", limit)


def at_most(limit: float) -> Target:
    """Return the target of a figure that should be small."""
    return Target("<=", limit)


@dataclass(frozen=True)
class Figure:
    """One number: `low` and `high` are its spread, `medians` the seconds that it was made of."""

    what: str
    value: float
    unit: str
    low: float
    high: float
    target: str | None
    reached: bool | None
    rounds: int
    medians: dict[str, float]
    note: str


@dataclass
class Stage:
    """Gathers the figures of one stage. `quick` shapes are for trying the benchmark, not for judging the project."""

    name: str
    quick: bool
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def ratio(
        self,
        what: str,
        timings: Timings,
        over: str,
        under: str,
        target: Target | None = None,
        factor: float = 1.0,
        note: str = "",
    ) -> None:
        """Add the ratio of two ways' seconds, times `factor` where they did different amounts of work."""
        cpu = timings.cpu_ratio(over, under, factor)
        said = [note] if note else []
        if cpu is not None:
            said.append(f"processor time {cpu:.2f}")
        medians = {name: seconds for name, seconds in timings.medians().items() if name in (over, under)}
        self._add(what, "x", *timings.ratio(over, under, factor), target, timings.rounds, medians, "; ".join(said))

    def seconds(self, what: str, seconds: list[float], target: Target | None = None, note: str = "") -> None:
        """Add a time. It is judged by the fastest round: other programs can only make it longer."""
        self._add(
            what, "s", min(seconds), min(seconds), max(seconds), target, len(seconds), {what: median(seconds)}, note
        )

    def number(self, what: str, value: float, unit: str, target: Target | None = None, note: str = "") -> None:
        """Add a number that has no spread, such as memory."""
        self._add(what, unit, value, value, value, target, 1, {}, note)

    def note(self, text: str) -> None:
        """Add a line below the table: absolute figures, and what a reader should know."""
        self.notes.append(text)

    def _add(
        self,
        what: str,
        unit: str,
        value: float,
        low: float,
        high: float,
        target: Target | None,
        rounds: int,
        medians: dict[str, float],
        note: str,
    ) -> None:
        reached = None if target is None else target.reached(value)
        wanted = None if target is None else str(target)
        self.figures.append(Figure(what, value, unit, low, high, wanted, reached, rounds, medians, note))

    def table(self) -> str:
        """Return the figures as a table."""
        rows = [("", "figure", "spread", "target", "reached", "rounds", "note")]
        rows += [(figure.what, *written(figure), str(figure.rounds), figure.note) for figure in self.figures]
        return "\n".join([self.name + (" (quick)" if self.quick else ""), console.table(rows), *self.notes])


def written(figure: Figure) -> tuple[str, str, str, str]:
    """Return a figure's value, spread, target, and whether it is reached, for a table."""
    value = f"{_number(figure.value)} {figure.unit}".rstrip()
    spread = "" if figure.low == figure.high else f"{_number(figure.low)} .. {_number(figure.high)}"
    return value, spread, figure.target or "", {None: "", True: "yes", False: "NO"}[figure.reached]


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


@contextmanager
def stage(name: str, about: str | None) -> Iterator[Stage]:
    """Parse the command line, give the stage to fill, then print its table and write its file.

    A quick run writes beside the benchmark data, so that it never takes the place of a full one.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.stages.{name}", description=about)
    parser.add_argument("--quick", action="store_true", help="small shapes, to try the benchmark in seconds")
    current = Stage(name, parser.parse_args().quick)
    started, before = time.monotonic(), machine.load_average()
    yield current
    print(f"\n{current.table()}", flush=True)
    content = {
        "name": name,
        "quick": current.quick,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - started, 1),
        "machine": machine.description(),
        "versions": machine.versions(),
        "load_average": {"before": before, "after": machine.load_average()},
        "figures": [asdict(figure) for figure in current.figures],
        "notes": current.notes,
    }
    folder = data.FOLDER / "quick-results" if current.quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
