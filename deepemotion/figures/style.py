"""What all figures share: print size, colour-blind-safe colours, captions, the order of emotions, saving."""

import math
import re
import textwrap
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib

matplotlib.use("Agg")

from matplotlib.figure import Figure

from deepemotion.files import atomic_path

P = ParamSpec("P")

# Okabe & Ito's palette (jfly.uni-koeln.de/color), which stays distinct under colour blindness; its black comes last.
OKABE_ITO = ("#D55E00", "#0072B2", "#E69F00", "#CC79A7", "#009E73", "#56B4E9", "#F0E442", "#000000")
TRAIN, VALIDATION, REFERENCE = "#D55E00", "#0072B2", "#666666"
RIGHT, WRONG, LIGHT = "#0072B2", "#D55E00", "#D9D9D9"
HELD_OUT = ("validation", "unseen")
"""The splits that are evaluated; volumes between training and validation moments are in neither."""
# The rows of the paper's figures 5 and 6.
PAPER_ORDER = ("FEAR", "SADNESS", "HAPPINESS", "LOVE", "ANGER")
WIDTH_IN = 7.2
"""The width of a printed page's text, in inches."""
DAGGER = "†"
AUDIT_IN_WORDS = "what labels alone, the majority class and chance score"
DAGGER_MEANS = f"{DAGGER} does not exceed {AUDIT_IN_WORDS}."
_DPI = 200
_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "legend.fontsize": 7.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    # Text stays text, so that it can be edited and searched.
    "svg.fonttype": "none",
}


def house_style(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function that draws a figure, so that print sizes apply to it and nothing else."""

    @wraps(draw)
    def styled(*arguments: P.args, **named: P.kwargs) -> Figure:
        with matplotlib.rc_context(_STYLE):
            return draw(*arguments, **named)

    return styled


def save(figure: Figure, folder: Path, name: str) -> None:
    """Save `figure` as NAME.png and NAME.svg in `folder`, each atomically."""
    with matplotlib.rc_context(_STYLE):
        for suffix in ("png", "svg"):
            with atomic_path(folder / f"{name}.{suffix}") as temporary:
                figure.savefig(temporary, dpi=_DPI)


def caption(figure: Figure, text: str) -> None:
    """Write a caption below the figure, in lines as long as it is wide."""
    width = int(figure.get_figwidth() * 18)
    # Lines of equal length avoid a last line of a single word.
    lines = math.ceil(len(text) / width)
    figure.supxlabel(textwrap.fill(text, min(width, math.ceil(len(text) / max(1, lines)) + 8)), fontsize=7.5)


def emotion_order(names: Iterable[str]) -> list[str]:
    """Return the emotions in the order of the paper's figures, others after them."""
    unique = list(dict.fromkeys(names))
    return [name for name in PAPER_ORDER if name in unique] + [name for name in unique if name not in PAPER_ORDER]


def emotion_colours(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each emotion, the same in every figure of the same emotions."""
    return {name: OKABE_ITO[i % len(OKABE_ITO)] for i, name in enumerate(sorted(set(names)))}


def model_order(model: str) -> tuple[bool, bool, list[tuple[int, str]]]:
    """Return the key that sorts models: single subjects, then `pooled`, then others; numbers in them by their value."""
    parts = [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", model)]
    return not model.startswith("sub-"), model != "pooled", parts


def short(model: str) -> str:
    """Return a model's or subject's name as a column's label: `01` for `sub-01`, `ALL` for `pooled`."""
    return "ALL" if model == "pooled" else model.removeprefix("sub-")


def text_on_cividis(percent: float) -> str:
    """Return the colour of text that can be read on cividis at a value from 0 to 100."""
    return "white" if percent < 55 else "black"
