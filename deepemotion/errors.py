"""The one exception that means "the input is wrong", told to users as one line and exit code 2."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Every program imports this file, and most errors of use come before pydantic is needed.
    import pydantic


class UserError(Exception):
    """Wrong use or bad input. The message says what is wrong, where (file, line, key) and what to do."""


def from_validation(error: "pydantic.ValidationError", where: str | Path) -> UserError:
    """Turn pydantic's report into one line that names the file and the dotted key of the first problem."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "(top level)"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return UserError(f"{where}: {key}: {first['msg']}{more}")
