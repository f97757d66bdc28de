"""The files that controls are made of, as a dataset's description names them."""

import re
import string
from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from deepemotion.config_files import Section

FileControl = Literal["motion", "stimulus", "physio", "phantom"]
Kind = Literal["motion", "events", "physio", "timeseries", "bold"]

# What each control can be made of, and which kinds of file have named columns.
_KINDS: dict[FileControl, tuple[Kind, ...]] = {
    "motion": ("motion", "timeseries"),
    "stimulus": ("events", "timeseries"),
    "physio": ("physio", "timeseries"),
    "phantom": ("bold",),
}
# A width of three digits, or one that is filled in itself.
_LONG = re.compile(r"\d{3}|\{")
_WITH_COLUMNS = ("events", "physio", "timeseries")


class ControlSource(Section):
    """One kind of file that a control is made of, a file per run; `file` is a path below the dataset's root.

    `{subject}` and `{run}` (or `{run:02d}`) are filled in. `columns` are those to use, None for all. A control may have
    several sources, whose columns are put together.
    """

    control: FileControl
    kind: Kind
    file: str
    columns: Annotated[list[str], Field(min_length=1)] | None = None

    @pydantic.field_validator("file")
    @classmethod
    def _can_be_filled(cls, pattern: str) -> str:
        require_fillable(pattern, {"subject": "01", "run": 1})
        return pattern

    @pydantic.model_validator(mode="after")
    def _fits_together(self) -> Self:
        kinds = _KINDS[self.control]
        if self.kind not in kinds:
            raise ValueError(f"kind {self.kind}: the control {self.control} is made of {' or '.join(kinds)}")
        if self.columns is not None and self.kind not in _WITH_COLUMNS:
            raise ValueError(f"columns: files of kind {self.kind} name none; leave it out")
        if self.columns is not None and len(set(self.columns)) != len(self.columns):
            raise ValueError("columns: each column once")
        return self


def require_fillable(pattern: str, values: dict[str, object]) -> None:
    """Raise ValueError for a pattern of a path that has other names in braces than those of `values`, or long ones."""
    try:
        for _, name, width, _ in string.Formatter().parse(pattern):
            # Before anything is filled in: a width may ask for gigabytes.
            if name is not None and (name not in values or _LONG.search(width or "")):
                raise LookupError(name)
        pattern.format(**values)
    except (LookupError, ValueError, AttributeError) as error:
        names = " and ".join(f"{{{name}}}" for name in values)
        raise ValueError(
            f"{pattern!r} cannot be filled in: use {names}; whatever else varies is written out"
        ) from error
