"""Subjects as the command line takes them: `1,2,5-9`."""

import re
from collections.abc import Collection

from deepemotion.errors import UserError

# Ranges are bounded before they are expanded.
_MOST = 10_000
# Longer digits are a label, and no number that anybody counts with.
_NUMBER = re.compile(r"[0-9]{1,18}")


def parse_subjects(text: str, known: Collection[str]) -> list[str]:
    """Return the labels that `1,2,5-9`, `01,sub-02` or `pilot` stands for, each once, among the labels `known`.

    An entry that is a known label means that one. A number means the label with that number, whatever zeros it begins
    with. What is not known comes back as it was written, numbers with two digits, for the caller to report. Raises
    UserError for an empty entry, a range that runs backwards or is too long, and a number that several labels have.
    """
    subjects: dict[str, None] = {}
    by_number = _by_number(known)
    for entry in (piece.strip() for piece in text.split(",")):
        label = entry.removeprefix("sub-")
        if not label:
            raise UserError(f"subjects {text!r}: an empty entry; write them as 1,2,5-9")
        exact = next((written for written in (entry, label) if written in known), None)
        for written in [exact] if exact is not None else _expanded(label, text):
            subjects[_resolved(written, known, by_number, text)] = None
            if len(subjects) > _MOST:
                raise UserError(f"subjects {_short(text)}: more than {_MOST} subjects")
    return list(subjects)


def _expanded(label: str, text: str) -> list[str]:
    first, dash, last = label.partition("-")
    if not (dash and _NUMBER.fullmatch(first) and _NUMBER.fullmatch(last)):
        if dash and first.isdecimal() and last.isdecimal():
            raise UserError(f"subjects {_short(text)}: the range {_short(label)} has numbers of more than 18 digits")
        return [label]
    if int(last) < int(first):
        raise UserError(f"subjects {text!r}: the range {label} runs backwards")
    if int(last) - int(first) >= _MOST:
        raise UserError(f"subjects {_short(text)}: the range {label} has more than {_MOST} subjects")
    return [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]


def _by_number(known: Collection[str]) -> dict[int, list[str]]:
    labels: dict[int, list[str]] = {}
    for label in known:
        if _NUMBER.fullmatch(label):
            labels.setdefault(int(label), []).append(label)
    return labels


def _resolved(written: str, known: Collection[str], by_number: dict[int, list[str]], text: str) -> str:
    if written in known or not _NUMBER.fullmatch(written):
        return written
    labels = by_number.get(int(written), [f"{int(written):02d}"])
    if len(labels) > 1:
        raise UserError(f"subjects {_short(text)}: {written} could be {' or '.join(labels)}; write the label in full")
    return labels[0]


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")
