"""What a subject may be called: its label becomes part of file names, of tables and of the names of trials."""

import re
from typing import Annotated

from pydantic import BeforeValidator

_LABEL = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,63}")


def require_subject_label(label: object) -> str:
    """Return a label that is fit to be part of a file's name. Raises ValueError, in one line, for any other value."""
    if isinstance(label, int | float):
        raise ValueError(f'{label} is a number: put the subject\'s label in quotes, as in "01"')
    if not isinstance(label, str) or not _LABEL.fullmatch(label):
        raise ValueError(
            f"{label!r} is not a subject's label: use up to 64 letters, digits, - _ + and . (which may not come first)"
        )
    return label


SubjectLabel = Annotated[str, BeforeValidator(require_subject_label)]
