"""A label rule: every choice between raw events and one emotion per movie time, as a schema read from YAML."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from deepemotion import config_files
from deepemotion.config_files import Section
from deepemotion.errors import UserError, from_validation
from deepemotion.labels.table import NONE

_CLASS = re.compile(r"[A-Z][A-Z0-9_]*")


class Rule(Section):
    """`configs/labels/paper.yaml` and `interval.yaml` are the two built-in rules in this schema."""

    coverage: Literal["start_steps", "interval"]
    """`start_steps`: an event labels those of the times start, start + TR, ... before its end (both truncated to whole
    seconds) that lie on the grid. `interval`: an event labels every [t, t + TR) that it touches."""
    observers: Annotated[list[str], Field(min_length=1)]
    """Observer ids, `av`, `ao` or `all`."""
    characters: list[str] | None = None
    """One event per observer and time: of the first character listed, then of any other; None: all events count."""
    threshold: Annotated[int, Field(ge=1)] | Literal["half", "majority"]
    """Observers that must agree: a number, at least half of them, or more than half of them."""
    ties: Literal["first", "none"]
    """Between equally frequent emotions: the one the first observer (in order of id) gave, or no label."""
    grid_end: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """Movie second before which the grid ends, where that is before the movie's end."""
    clusters: dict[str, list[str]]
    """The labels of each emotion; those under NONE count for none."""

    @pydantic.field_validator("observers", mode="before")
    @classmethod
    def _split(cls, observers: object) -> object:
        if isinstance(observers, str):
            return [name.strip() for name in observers.split(",")]
        return observers

    @pydantic.field_validator("threshold", mode="before")
    @classmethod
    def _threshold_known(cls, threshold: object) -> object:
        text = str(threshold)
        if text in ("half", "majority"):
            return text
        if not re.fullmatch(r"[1-9][0-9]*", text):
            raise ValueError(f"{text!r} is neither half, nor majority, nor a number of observers from 1")
        return int(text)

    @pydantic.field_validator("clusters")
    @classmethod
    def _partition(cls, clusters: dict[str, list[str]]) -> dict[str, list[str]]:
        owner: dict[str, str] = {}
        for name, labels in clusters.items():
            if not _CLASS.fullmatch(name):
                raise ValueError(f"{name!r} is not a class name; use upper-case letters, digits and _")
            if not labels and name != NONE:
                raise ValueError(f"{name} has no label")
            for label in labels:
                if label in owner:
                    raise ValueError(f"{label} is in {owner[label]} and in {name}; each label belongs to one cluster")
                owner[label] = name
        if not set(clusters) - {NONE}:
            raise ValueError("no cluster of labels; write e.g. ANGER: [ANGERRAGE, HATE]")
        return clusters

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a rule. Raises UserError that names the file and key."""
        return cls._validate(config_files.read_yaml(path), path)

    def replaced(self, where: str | Path, **values: object) -> Self:
        """Return the rule with other values, validated. Raises UserError that blames `where`."""
        return self._validate(self.model_dump() | values, where)

    @classmethod
    def _validate(cls, content: dict[str, Any], where: str | Path) -> Self:
        try:
            return cls.model_validate(content)
        except pydantic.ValidationError as error:
            raise from_validation(error, where, cls) from error

    @property
    def classes(self) -> tuple[str, ...]:
        """The emotions in alphabetical order, which is the order of class indices."""
        return tuple(sorted(set(self.clusters) - {NONE}))

    @property
    def class_of(self) -> dict[str, str]:
        """The class of each label that observers may give, in alphabetical order of labels."""
        return dict(sorted((label, name) for name, labels in self.clusters.items() for label in labels))

    def votes_needed(self, observers: int) -> int:
        """Return how many of `observers` must agree. Raises UserError where the threshold is out of their reach."""
        if self.threshold == "half":
            return (observers + 1) // 2
        if self.threshold == "majority":
            return observers // 2 + 1
        if self.threshold > observers:
            raise UserError(f"threshold {self.threshold}: only {observers} observers are selected; lower --threshold")
        return self.threshold
