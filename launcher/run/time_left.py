"""How fast the trials of a run are trained, and how long what is left of them takes, from the epochs so far."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from launcher.planning.plan import PlannedTrial


@dataclass(frozen=True)
class Course:
    """How far the training of a trial is.

    `epochs` are finished, and `timed` of them are known to have taken `seconds`. A trial is `running`, or `ended`
    (done, failed or replaced), or waits. `idle_s` is how long ago a running one finished its last epoch, or started.
    """

    trial: PlannedTrial
    epochs: int = 0
    timed: int = 0
    seconds: float = 0.0
    running: bool = False
    ended: bool = False
    idle_s: float = 0.0

    @property
    def planned(self) -> int:
        """The number of epochs that the trial takes in all."""
        return self.trial.trial.train.epochs

    @property
    def left(self) -> int:
        """The number of epochs that are left."""
        return 0 if self.ended else max(0, self.planned - self.epochs)

    def work(self, epochs: int) -> float:
        """Return the work of so many of its epochs, in the unit of `PlannedTrial.work`."""
        return self.trial.work * epochs / self.planned


def share_trained(courses: Iterable[Course]) -> float:
    """Return how much of the work of these trials is done, in [0, 1]; all of it where there is none."""
    courses = list(courses)
    total = sum(course.trial.work for course in courses)
    return sum(course.work(course.epochs) for course in courses) / total if total else 1.0


def epochs_per_second(courses: Iterable[Course]) -> float:
    """Return how many epochs the running trials finish in a second together, 0 while no epoch was timed."""
    courses = list(courses)
    paces = _Paces(courses)
    seconds = [paces.seconds_per_epoch(course) for course in courses if course.running] if paces else []
    # A plan may say that a trial is no work at all.
    return sum(1 / one for one in seconds if one > 0)


def seconds_left(
    courses: Sequence[Course], at_once: int, startup_s: float = 0.0, ending_s: float = 0.0
) -> float | None:
    """Return how long the trials that have not ended will take, None while no epoch was timed.

    They are trained in their order, `at_once` of them at a time. Each takes `startup_s` before its first epoch and
    `ending_s` after its last one. A trial's own epochs say how fast it is. Until it has any, those of the same kind do
    by their work: the same model, of the brain or of the same control.
    """
    paces = _Paces(courses, startup_s)
    if not paces:
        return None
    busy = []
    for course in courses:
        if course.running:
            startup = 0.0 if course.timed else startup_s
            # An epoch that takes longer than it should is about to end.
            busy.append(max(startup + paces.seconds(course) + ending_s - course.idle_s, 0.0))
    free_at = busy + [0.0] * max(0, at_once - len(busy))
    heapq.heapify(free_at)
    for course in courses:
        if not course.running and not course.ended:
            heapq.heapreplace(free_at, free_at[0] + startup_s + paces.seconds(course) + ending_s)
    return max(free_at)


class _Paces:
    """How fast trials are: by their own epochs or, until they have any, by the work and the time of others'.

    A first epoch that has not ended yet takes at least as long as its trial has been running, but for `startup_s`. It
    is true if any epoch was timed.
    """

    def __init__(self, courses: Iterable[Course], startup_s: float = 0.0) -> None:
        of_kind: defaultdict[tuple[str, str], list[Course]] = defaultdict(list)
        self._least: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._startup_s = startup_s
        for course in courses:
            kind = _kind(course)
            if course.seconds > 0:
                of_kind[kind].append(course)
            elif course.running and course.trial.work:
                self._least[kind] = max(self._least[kind], self._so_far(course) / course.work(1))
        self._of_kind = {kind: _seconds_per_work(members) for kind, members in of_kind.items()}
        self._of_all = _seconds_per_work([course for members in of_kind.values() for course in members])

    def __bool__(self) -> bool:
        return self._of_all > 0

    def seconds_per_epoch(self, course: Course) -> float:
        """Return how long one epoch of a trial takes."""
        if course.seconds > 0:
            return course.seconds / course.timed
        kind = _kind(course)
        pace = self._of_kind.get(kind, max(self._of_all, self._least[kind]))
        return max(course.work(1) * pace, self._so_far(course) if course.running else 0.0)

    def _so_far(self, course: Course) -> float:
        """Return how long the first epoch of a running trial has taken until now, at most."""
        return max(0.0, course.idle_s - self._startup_s)

    def seconds(self, course: Course) -> float:
        """Return how long the epochs take that a trial has left."""
        return course.left * self.seconds_per_epoch(course)


def _kind(course: Course) -> tuple[str, str]:
    return course.trial.trial.model.name, course.trial.control


def _seconds_per_work(courses: Sequence[Course]) -> float:
    work = sum(course.work(course.timed) for course in courses)
    return sum(course.seconds for course in courses) / work if work else 0.0
