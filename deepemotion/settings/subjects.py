"""Subjects as the command line takes them: `1,2,5-9`."""

from deepemotion.errors import UserError


def parse_subjects(text: str) -> list[str]:
    """Parse `1,2,5-9` or `01,sub-02` into two-digit labels; other labels (`sub-pilot`) are kept as they are.

    Raises UserError for a range that is no range.
    """
    subjects: list[str] = []
    for part in (piece.strip().removeprefix("sub-") for piece in text.split(",")):
        first, dash, last = part.partition("-")
        if not part:
            raise UserError(f"subjects {text!r}: an empty entry; write them as 1,2,5-9")
        if dash and first.isdecimal() and last.isdecimal():
            if int(last) < int(first):
                raise UserError(f"subjects {text!r}: the range {part} runs backwards")
            subjects += [f"{number:02d}" for number in range(int(first), int(last) + 1)]
        else:
            subjects.append(f"{int(part):02d}" if part.isdecimal() else part)
    return list(dict.fromkeys(subjects))
