"""`deepemotion verify`: whether packed subject files are what was written."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import EXIT_FAILED, answer


def verify(files: Annotated[list[Path], typer.Argument(help="Packed files, sub-XX.h5.")]) -> None:
    """Read packed files whole and check every checksum; exit code 1 if one is damaged."""
    from deepemotion.verification import problems

    damaged = False
    for path in files:
        found = problems(path)
        damaged |= bool(found)
        answer(f"{path}: {'; '.join(found) or 'ok'}")
    if damaged:
        raise typer.Exit(EXIT_FAILED)
