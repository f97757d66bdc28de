"""What every command shares: how errors end a program, where progress is shown, how tables and JSON are printed."""

import json
import math
import os
import shlex
import sys
import time
from collections.abc import Container, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepemotion import __version__, interrupts
from deepemotion.errors import UserError, one_line
from deepemotion.interrupts import EXIT_INTERRUPTED as EXIT_INTERRUPTED

if TYPE_CHECKING:
    from rich.console import Console

# The option of every command that can print JSON.
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs, with numbers unrounded.")]

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
# Columns of characters of a table that goes into a file.
_WIDE = 240
_OPTIONS = ("--debug", "--quiet")
# Whether `say` prints nothing, as --quiet asks.
_quiet = False
# What is wrong about a command line's words; Typer exports the classes below it only.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]


def new_app(summary: str) -> typer.Typer:
    """Return a Typer application with the settings of both programs: plain help, our own error handling."""
    return typer.Typer(
        help=summary,
        epilog="With any command, --quiet leaves out progress and notes, and --debug shows where an error comes from."
        " --version prints the version.",
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


class Shell(StrEnum):
    """The shells whose completion is supported."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def add_completion(app: typer.Typer) -> None:
    """Add the command that prints a shell's completion script, which asks the program itself (see `run`)."""

    @app.command()
    def completion(
        context: typer.Context, shell: Annotated[Shell, typer.Argument(help="The shell that you use.")]
    ) -> None:
        """Print the script that completes commands and options in a shell, as docs/terminal.md describes."""
        from typer.completion import get_completion_script  # type: ignore[attr-defined]

        name = str(context.find_root().info_name)
        answer(get_completion_script(prog_name=name, complete_var=_complete_variable(name), shell=shell.value))


def _complete_variable(program: str) -> str:
    """Return the variable in which a shell's script asks a program for completions."""
    return f"_{program.replace('-', '_').upper()}_COMPLETE"


def run(app: typer.Typer) -> None:
    """Run a command-line program: bad input ends with one line and exit code 2, Ctrl-C with 130 (Typer's doing).

    A file that the system refuses is bad input, too. SIGTERM and SIGHUP do the same as Ctrl-C, unless the shell has
    made this program ignore them (nohup).

    `--debug` anywhere on the command line, or DEEPEMOTION_DEBUG=1, shows the traceback instead. `--quiet` anywhere
    leaves only results and problems. `--version` in place of a command prints the version, which both programs share.
    """
    global _quiet
    if sys.argv[1:2] == ["--version"]:
        answer(f"deepemotion {__version__}")
        raise SystemExit(0)
    debug = "--debug" in sys.argv or os.environ.get("DEEPEMOTION_DEBUG") == "1"
    _quiet = "--quiet" in sys.argv
    sys.argv[:] = [argument for argument in sys.argv if argument not in _OPTIONS]
    program = Path(sys.argv[0]).name
    if _complete_variable(program) in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    interrupts.listen()
    try:
        code = app(prog_name=program, standalone_mode=False)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except UserError as error:
        if debug:
            raise
        warn(f"error: {error}")
        code = EXIT_BAD_INPUT
    except OSError as error:
        # A file or folder of the user's, or a full disk, that no command has words of its own for.
        if debug or error.filename is None or error.strerror is None:
            raise
        warn(f"error: {one_line(f'{error.filename}: {error.strerror}')}")
        code = EXIT_BAD_INPUT
    except _UsageError as error:
        warn(_wrong_words(error))
        code = EXIT_BAD_INPUT
    # A command without an exit code of its own returns None.
    raise SystemExit(code or 0)


def _wrong_words(error: Any) -> str:
    message: str = error.format_message().rstrip(".")
    # Without any word, the message is the help.
    if not sys.argv[1:] or error.ctx is None:
        return message
    return f"error: {one_line(message)} ({error.ctx.command_path} --help lists commands and options)"


def say(line: str) -> None:
    """Print progress or a note for people, on standard error, unless --quiet: standard output is for results."""
    if not _quiet:
        warn(line)


def warn(line: str) -> None:
    """Print a problem, on standard error, whatever --quiet says."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def progress_console() -> "Console":
    """Return what live progress is shown on: standard error, and nothing with --quiet."""
    from rich.console import Console

    return Console(stderr=True, quiet=_quiet)


def at_time(line: str) -> str:
    """Return a line with the date and time before it, for logs."""
    return f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}"


def say_how_to_resume() -> None:
    """Print the command that resumes the work: the one that was stopped."""
    say(f"to resume:   {shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])}")


def answer(text: str) -> None:
    """Print a result, on standard output."""
    print(text, flush=True)  # noqa: T201


def answer_json(content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print a result as JSON, on standard output: numbers unrounded, those that are not finite as null."""
    answer(json.dumps(_plain(content), indent=1, allow_nan=False))


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it: mappings, sequences, texts, numbers (those of numpy, too), paths, times."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    # Numbers of numpy and torch have this method; importing either to ask for the type would take seconds.
    return _plain(value.item()) if hasattr(value, "item") else str(value)


def answer_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], words: Container[str]) -> None:
    """Print a table with a title and lines, on standard output; columns of `words` are aligned at their left.

    On a terminal it is as wide as that. Elsewhere there is no width to fit; fitting one would cut names.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(title=title, title_justify="left")
    for column in columns:
        shown.add_column(column, justify="left" if column in words else "right", overflow="fold")
    for row in rows:
        # Not rich's markup: [60, 70] is an interval.
        shown.add_row(*(Text(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else _WIDE).print(shown)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return the rows, of equally many cells each and the header first, as lines with aligned columns.

    The last column is not padded, so that a long text in it makes no other line longer.
    """
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    )


def duration(seconds: float) -> str:
    """Return a duration as `1:02:03`, or `2:03` below one hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
