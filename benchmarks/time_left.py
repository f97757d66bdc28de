"""How far the time left that a launch prints is from the truth, from its log."""

import re
from datetime import datetime
from statistics import median

_ESTIMATE = re.compile(r"^(\S+ \S+) .* · ([\d:]+) left", re.MULTILINE)
_ENDED = re.compile(r"^(\S+ \S+) (?:done|FAILED) ", re.MULTILINE)
# Estimates before this share of a run do not count.
_FROM = 0.1


def errors(log: str, started: float) -> list[float]:
    """Return the relative error of each estimate in a launch's log, from a tenth of the run on.

    A run lasts from `started` (seconds since the epoch) until its last trial has ended.
    """
    end = max(seconds(when) for when in _ENDED.findall(log))
    found = []
    for when, left in _ESTIMATE.findall(log):
        truth = end - seconds(when)
        if truth > 0 and seconds(when) - started >= _FROM * (end - started):
            found.append(abs(_duration(left) - truth) / truth)
    return found


def median_percent(log: str, started: float) -> tuple[float, int]:
    """Return the median error of the estimates in percent, and how many there were."""
    found = errors(log, started)
    return 100 * median(found), len(found)


def seconds(when: str) -> float:
    """Return the time of a line in seconds since the epoch."""
    return datetime.fromisoformat(when).timestamp()


def _duration(text: str) -> float:
    total = 0
    for part in text.split(":"):
        total = 60 * total + int(part)
    return total
