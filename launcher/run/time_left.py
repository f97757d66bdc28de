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
    """Return how many epochs the running trials finish in a second together, 0 where none has finished one yet."""
    return sum(course.timed / course.seconds for course in courses if course.running and course.seconds > 0)


def seconds_left(
    courses: Sequence[Course], at_once: int, startup_s: float = 0.0, ending_s: float = 0.0
) -> float | None:
    """Return how long the trials that have not ended will take, None while no epoch was timed.

    They are trained in their order, `at_once` of them at a time. Each takes `startup_s` before its first epoch and
    `ending_s` after its last one. A trial's own epochs say how fast it is. Until it has any, those of the same kind do
    by their work: the same model, of the brain or of the same control.
    """
    timed = [course for course in courses if course.seconds > 0]
    if not timed:
        return None
    pace = _seconds_per_work(timed)
    of_kind: defaultdict[tuple[str, str], list[Course]] = defaultdict(list)
    for course in timed:
        of_kind[_kind(course)].append(course)
    paces = {kind: _seconds_per_work(members) for kind, members in of_kind.items()}

    def needed(course: Course) -> float:
        if course.seconds > 0:
            return course.left * course.seconds / course.timed
        return course.work(course.left) * paces.get(_kind(course), pace)

    busy = []
    for course in courses:
        if course.running:
            startup = 0.0 if course.timed else startup_s
            # An epoch that takes longer than it should is about to end.
            busy.append(max(startup + needed(course) + ending_s - course.idle_s, 0.0))
    free_at = busy + [0.0] * max(0, at_once - len(busy))
    heapq.heapify(free_at)
    for course in courses:
        if not course.running and not course.ended:
            heapq.heapreplace(free_at, free_at[0] + startup_s + needed(course) + ending_s)
    return max(free_at)


def _kind(course: Course) -> tuple[str, str]:
    return course.trial.trial.model.name, course.trial.control


def _seconds_per_work(courses: Sequence[Course]) -> float:
    work = sum(course.work(course.timed) for course in courses)
    return sum(course.seconds for course in courses) / work if work else 0.0
