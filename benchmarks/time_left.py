"""How far the time left that a launch prints is from the truth, from its log."""

import re
from bisect import bisect_right
from datetime import datetime
from statistics import median

_ESTIMATE = re.compile(r"^(\S+ \S+) .* · ([\d:]+) left", re.MULTILINE)
_ENDED = re.compile(r"^(\S+ \S+) (?:done|FAILED) ", re.MULTILINE)
# What is known before this share of a run does not count.
_FROM = 0.1


def errors(log: str, started: float) -> list[float]:
    """Return the relative error of the time left at every second of a launch, from a tenth of it on.

    It lasts from `started` (seconds since the epoch) until its last trial has ended. Whoever reads the log at some time
    has its last line, and knows how old that is. Before the first line that says something, the error is 1.
    """
    end = max(seconds(when) for when in _ENDED.findall(log))
    lines = [(seconds(when), _duration(left)) for when, left in _ESTIMATE.findall(log)]
    printed = [when for when, _ in lines]
    found = []
    for now in range(round(started + _FROM * (end - started)), round(end)):
        number = bisect_right(printed, now)
        known = 0.0 if not number else max(0.0, lines[number - 1][1] - (now - printed[number - 1]))
        found.append(abs(known - (end - now)) / (end - now))
    return found


def median_percent(log: str, started: float) -> float:
    """Return the median error in percent."""
    return 100 * median(errors(log, started))


def seconds(when: str) -> float:
    """Return the time of a line in seconds since the epoch."""
    return datetime.fromisoformat(when).timestamp()


def _duration(text: str) -> float:
    total = 0
    for part in text.split(":"):
        total = 60 * total + int(part)
    return total
