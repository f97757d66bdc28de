"""`deepemotion verify`: whether packed subject files are what was written."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import EXIT_BAD_INPUT, EXIT_FAILED, answer, warn
from deepemotion.errors import UserError


def verify(
    files: Annotated[list[Path], typer.Argument(help="Packed files to verify, sub-XX.h5 or controls_sub-XX.h5.")],
) -> None:
    """Read packed files completely and check every checksum; exit code 1 for a damaged file, 2 for any other file."""
    from deepemotion.subject_file import kernels
    from deepemotion.subject_file.opening import NotASubjectFileError
    from deepemotion.subject_file.verify import problems

    # A kernel that cannot be loaded is not a fault of the files.
    kernels.library()
    code = 0
    for path in files:
        try:
            found = problems(path)
        except UserError as error:
            if isinstance(error, NotASubjectFileError) or not path.exists():
                warn(f"error: {error}")
                code = EXIT_BAD_INPUT
                continue
            found = [str(error).removeprefix(f"{path}: ")]
        answer(f"{path}: {'; '.join(found) or 'ok'}")
        code = max(code, EXIT_FAILED if found else 0)
    raise typer.Exit(code)
