"""The one exception that means "the input is wrong", reported to users as one line and exit code 2."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

if TYPE_CHECKING:
    # Every program imports this file, and most errors of use come before pydantic is needed.
    import pydantic
    from pydantic_core import ErrorDetails

_NOT_OF_THE_TYPE = ("literal_error", "_type", "_parsing")


class UserError(Exception):
    """Wrong use or bad input. The message says in one line what is wrong, where (file, line, key) and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(message: str) -> str:
    """Return a message with line breaks, tabs and control characters of what it quotes written out, as in Python."""
    return "".join(mark if mark == " " or mark.isprintable() else repr(mark)[1:-1] for mark in message)


def from_validation(
    error: "pydantic.ValidationError",
    where: str | Path,
    schema: "type[pydantic.BaseModel]",
    overrides: Sequence[str] = (),
) -> UserError:
    """Turn pydantic's report into one line that names the place and the dotted key of the first problem.

    `schema` is what was validated, for the name of a key that is nearly right. `where` is a file or part of the
    command line; for a key that one of the `overrides` (`section.key=value`) sets, the message names that override.
    """
    first, others = _first(error.errors())
    key = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        known = _keys(schema, first["loc"][:-1])
        message = "no such key" + (did_you_mean(str(first["loc"][-1]), known) or f"; keys are {', '.join(known)}")
    where = next((f"--set {text}" for text in reversed(overrides) if _sets(text, key)), str(where))
    more = f" (and {others} more)" if others else ""
    # An option of the command line names the key itself.
    place = where if not key or where.startswith("--") else f"{where}: {key}"
    return UserError(f"{place}: {message}{more}")


def _first(errors: "Sequence[ErrorDetails]") -> "tuple[ErrorDetails, int]":
    """Return the first problem, and how many others there are.

    What may be a word or something else fails as each of them. That it is not the word is shown only if it is not of
    the other's type either: a wrong entry of a list, or a number out of its range, says more.
    """
    first, within = errors[0], errors[:1]
    if first["type"] == "literal_error":
        place = first["loc"][:-1]
        # Beyond the place, pydantic names the alternative that failed.
        within = [one for one in errors if len(one["loc"]) > len(place) and one["loc"][: len(place)] == place]
        if len(within) > 1:
            chosen = max(within, key=lambda one: (len(one["loc"]), not one["type"].endswith(_NOT_OF_THE_TYPE)))
            first = chosen | {"loc": place + chosen["loc"][len(place) + 1 :]}
            if chosen["type"] == "literal_error" and any(one["type"] == "list_type" for one in within):
                first["msg"] += " or a list"
    return first, len(errors) - len(within)


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return `; did you mean X?` for the nearest known name, or nothing where none is near."""
    import difflib

    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _sets(override: str, key: str) -> bool:
    """Say whether an override sets the key, a part of it, or what it is a part of."""
    one, other = f"{override.partition('=')[0].strip()}.", f"{key}."
    return one.startswith(other) or other.startswith(one)


def _keys(schema: "type[pydantic.BaseModel]", path: Sequence[str | int]) -> list[str]:
    """Return the keys of the part of a schema that the path leads to; numbers in it count the entries of a list."""
    for name in path:
        if isinstance(name, str):
            kind = schema.model_fields[name].annotation
            schema = next(part for part in (kind, *get_args(kind)) if hasattr(part, "model_fields"))
    return [field.alias or name for name, field in schema.model_fields.items()]
