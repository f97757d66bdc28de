"""Summarises the status of a run's trials: how many are in each state and why, how far they are, and the time left."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from deepemotion.console import duration, table
from launcher.monitoring.status import TrialStatus
from launcher.run import time_left
from launcher.run.states import State

# A line has room for so many reasons.
_MOST_REASONS = 2


@dataclass(frozen=True)
class Summary:
    """What the trials of a run add up to."""

    trials: Sequence[TrialStatus]

    @cached_property
    def states(self) -> Counter[str]:
        """How many trials are in each state."""
        return Counter(one.state for one in self.trials)

    @property
    def counts(self) -> str:
        """The number of trials in each state, in one line, the most frequent state first."""
        return " · ".join(f"{count} {state}" for state, count in self.states.most_common())

    @cached_property
    def share(self) -> float:
        """How much of the work is done, in [0, 1]. Trials that were replaced are no work."""
        return time_left.share_trained(one.course for one in self.trials if one.state != State.REPLACED)

    @cached_property
    def epochs_per_second(self) -> float:
        """How many epochs the running trials finish in a second together."""
        return time_left.epochs_per_second(one.course for one in self.trials)

    @cached_property
    def seconds_left(self) -> float | None:
        """How long the trials will take that have not ended, if as many run at once as now; None if none is running."""
        at_once = self.states[State.RUNNING]
        return time_left.seconds_left([one.course for one in self.trials], at_once) if at_once else None

    @property
    def best(self) -> TrialStatus | None:
        """The trial with the highest validation accuracy so far, None before the first epoch."""
        known = [one for one in self.trials if one.accuracy is not None]
        return max(known, key=lambda one: one.accuracy or 0.0, default=None)

    @property
    def line(self) -> str:
        """All of it in one line: counts, percent, speed, time left, best accuracy."""
        best = self.best
        parts = [self.counts, *self._progress]
        if best is not None and best.accuracy is not None:
            parts.append(f"best validation accuracy {100 * best.accuracy:.1f} % ({best.trial.name})")
        return " · ".join(parts)

    @property
    def text(self) -> str:
        """A line on the progress, and a table of the states."""
        done = f"{self.states[State.DONE]} of {len(self.trials) - self.states[State.REPLACED]} trials done"
        rows = [("state", "trials", "why")]
        rows += [(state, str(count), self._reasons(state)) for state, count in self.states.most_common()]
        return "\n".join([" · ".join([done, *self._progress]), table(rows)])

    @property
    def _progress(self) -> list[str]:
        parts = [f"{100 * self.share:.0f} %"]
        if self.epochs_per_second:
            parts.append(f"{self.epochs_per_second:.3g} epochs/s")
        if self.seconds_left is not None:
            parts.append(f"about {duration(self.seconds_left)} left")
        return parts

    def _reasons(self, state: str) -> str:
        """Return the most frequent reasons for a state, with their numbers where there are several."""
        # Each trial is replaced by another one.
        known = (one.why for one in self.trials if one.state == state != State.REPLACED)
        reasons = Counter(why for why in known if why).most_common()
        if len(reasons) == 1:
            return reasons[0][0]
        shown = [f"{why} ({count})" for why, count in reasons[:_MOST_REASONS]]
        more = len(reasons) - len(shown)
        return "; ".join([*shown, f"{more} other reasons"] if more else shown)
