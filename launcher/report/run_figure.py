"""Defines a figure of a run: its name, its title, what it needs, and how it is drawn."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from launcher.report.figure_data import Choice, Material
from launcher.run.directory import RunDirectory


@dataclass(frozen=True)
class Drawn:
    """A figure and the name of its files."""

    name: str
    figure: Figure


@dataclass(frozen=True)
class Skipped:
    """A figure that cannot be drawn, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class FigureOfInputs:
    """A figure of what a run was made from.

    `draw` takes the run, the names of its finished trials and the folder of annotations; it yields what each
    figure is of, "" for the run as a whole, and the figure or the reason why there is none.
    """

    name: str
    title: str
    draw: Callable[[RunDirectory, list[str], Path | None], Iterator[tuple[str, Figure | str]]]

    def of(self, run: RunDirectory, trials: list[str], choice: Choice) -> Iterator[Drawn | Skipped]:
        """Draw the figures of the run's inputs."""
        for of_what, figure in self.draw(run, trials, choice.annotations):
            yield _made("_".join(filter(None, (self.name, of_what))), figure)


@dataclass(frozen=True)
class FigureOfCondition:
    """A figure of each condition with any of the `kinds` of training sets; for others `needs` says what is missing.

    `draw` returns it, or the reason why there is none.
    """

    name: str
    title: str
    draw: Callable[[Material], Figure | str]
    kinds: tuple[str, ...]
    needs: str

    def of(self, material: Material, choice: Choice) -> Iterator[Drawn | Skipped]:
        """Draw the figure of a condition."""
        figure = self.draw(material) if material.sets(*self.kinds) else self.needs
        yield _made(f"{self.name}_{material.name}", figure)


@dataclass(frozen=True)
class FigureOfSubject:
    """A figure of the chosen subject in each condition.

    `draw` returns what it is of besides the condition, and the figure or the reason why there is none; None if the
    subject has no such figure.
    """

    name: str
    title: str
    draw: Callable[[Material, Choice], tuple[str, Figure | str] | None]

    def of(self, material: Material, choice: Choice) -> Iterator[Drawn | Skipped]:
        """Draw the figure of the chosen subject in a condition."""
        drawn = self.draw(material, choice)
        if drawn is not None:
            yield _made(f"{self.name}_{material.name}_{drawn[0]}", drawn[1])


def _made(name: str, figure: Figure | str) -> Drawn | Skipped:
    return Skipped(name, figure) if isinstance(figure, str) else Drawn(name, figure)
