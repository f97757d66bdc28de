"""The TR in a NIfTI header against the one in the dataset's description, which decides the movie times."""

# Headers are written in single precision, and some round to whole milliseconds.
_TOLERANCE = 1e-3
# Seconds from volume to volume that a scanner can have.
_PLAUSIBLE = (0.01, 100.0)
_FACTORS = (1.0, 1e-3, 1e-6)
# What nibabel writes unless it is told the TR.
_UNSET = 1.0


def header_seconds(step: float, unit: float | None, described: float) -> float | None:
    """Return the TR in seconds that a header states, None if it states none.

    `step` is the number in the header and `unit` the seconds of its unit, None if that is missing. Many headers name a
    wrong unit: the number counts as seconds, milliseconds or microseconds if that makes it the `described` TR, and
    otherwise if the unit named is impossible.
    """
    candidates = [step * factor for factor in ((unit,) if unit else ()) + _FACTORS]
    for seconds in candidates:
        if agree(seconds, described):
            return seconds
    if step == _UNSET:
        return None
    return next((seconds for seconds in candidates if _PLAUSIBLE[0] <= seconds <= _PLAUSIBLE[1]), None)


def agree(stated: float | None, described: float) -> bool:
    """Return whether two TRs in seconds are the same; a header without one contradicts nothing."""
    return stated is None or abs(stated - described) <= _TOLERANCE * described
