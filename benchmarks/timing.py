"""Times several ways of doing one thing in turn, so that a noisy machine disturbs all of them alike."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

import numpy as np


@dataclass
class Timings:
    """Seconds of each way, one a round: by the clock, and of the processor (this process and all its threads)."""

    wall: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)

    def ratio(self, over: str, under: str, factor: float = 1.0) -> tuple[float, float, float]:
        """Return the ratio of the medians, and the quartiles of the rounds' own ratios, all times `factor`."""
        return _ratio(self.wall[over], self.wall[under], factor)

    def cpu_ratio(self, over: str, under: str, factor: float = 1.0) -> float | None:
        """Return the ratio of the processor's medians; None where other processes did the work."""
        if over not in self.cpu or under not in self.cpu:
            return None
        return _ratio(self.cpu[over], self.cpu[under], factor)[0]

    def medians(self) -> dict[str, float]:
        """Return the median seconds of each way."""
        return {name: median(seconds) for name, seconds in self.wall.items()}

    @property
    def rounds(self) -> int:
        """How often each way was timed."""
        return min(len(seconds) for seconds in self.wall.values())

    def add(self, name: str, wall: float, cpu: float | None = None) -> None:
        """Add a round's seconds of one way."""
        self.wall.setdefault(name, []).append(wall)
        if cpu is not None:
            self.cpu.setdefault(name, []).append(cpu)


def interleave(
    ways: Mapping[str, Callable[[], object]],
    rounds: int,
    warm_up: int = 1,
    before: Callable[[], object] = lambda: None,
) -> Timings:
    """Run each way once a round, in turn, and `before` untimed before each; the first `warm_up` rounds do not count.

    Every other round is in reverse order: else a way would always follow the same other one, and inherit what that
    leaves behind (caches, dirty pages).
    """
    timings = Timings()
    for number in range(-warm_up, rounds):
        for name, way in list(ways.items())[:: -1 if number % 2 else 1]:
            before()
            wall, cpu = time.perf_counter(), time.process_time()
            way()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if number >= 0:
                timings.add(name, wall, cpu)
    return timings


def _ratio(over: list[float], under: list[float], factor: float) -> tuple[float, float, float]:
    low, high = np.percentile(np.array(over) / np.array(under), (25, 75))
    return factor * median(over) / median(under), factor * float(low), factor * float(high)
