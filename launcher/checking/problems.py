"""What is wrong with a run, as far as it was checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from deepemotion.errors import UserError


@dataclass
class Problems:
    """Sentences: `problems` says what is wrong, one line each, and `notes` what could not be checked."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, place: object, what: str) -> None:
        """Add a problem of the file or trial `place`."""
        self.problems.append(f"{place}: {what}")

    def note(self, place: object, what: str) -> None:
        """Add what could not be checked."""
        self.notes.append(f"{place}: {what}")

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Make a problem of the block's UserError, which ends the block."""
        try:
            yield
        except UserError as error:
            self.problems.append(str(error))


def listed(names: list[str]) -> str:
    """Return how many there are and the first of them, for a sentence."""
    return names[0] if len(names) == 1 else f"{len(names)}, the first is {names[0]}"
