"""How programs end, and what they print where."""

import json
import math
import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import typer

import deepemotion
from deepemotion import console
from deepemotion.errors import UserError

app = console.new_app("Two commands to try what every program does.")
ENDINGS: dict[str, BaseException] = {
    "bad": UserError("labels.tsv:3: no such emotion; use JOY"),
    "odd": UserError("a\nb\tc é \x1b: no such emotion"),
    "interrupted": KeyboardInterrupt(),
    "failed": typer.Exit(console.EXIT_FAILED),
    "refused": PermissionError(13, "Permission denied", "/root/x"),
    "bug": RuntimeError("a bug"),
    "bug of a socket": OSError("no file has to do with it"),
}


@app.command()
def end(how: str, times: Annotated[int, typer.Option(help="How often.")] = 1) -> None:
    """End in a way."""
    if how in ENDINGS:
        raise ENDINGS[how]
    console.say("on the way")
    console.answer(how * times)


@app.command()
def other() -> None:
    """Do nothing."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run the program with these arguments; return exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["try", *arguments])
        with pytest.raises(SystemExit) as ended:
            console.run(app)
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


def test_results_go_to_standard_output_and_the_rest_to_standard_error(run) -> None:
    assert run("end", "well", "--times", "2") == (0, "wellwell\n", "on the way\n")


def test_bad_input_ends_in_one_line(run) -> None:
    assert run("end", "bad") == (2, "", "error: labels.tsv:3: no such emotion; use JOY\n")


def test_a_file_that_the_system_refuses_ends_in_one_line(run) -> None:
    assert run("end", "refused") == (2, "", "error: /root/x: Permission denied\n")


def test_what_a_message_quotes_breaks_no_line(run) -> None:
    assert run("end", "odd") == (2, "", "error: a\\nb\\tc é \\x1b: no such emotion\n")


def test_a_message_is_one_line_in_logs_and_records_too() -> None:
    assert str(UserError("--lr 1\n2: write numbers")) == "--lr 1\\n2: write numbers"


@pytest.mark.parametrize("where", [("--debug", "end", "bad"), ("end", "--debug", "bad"), ("end", "bad", "--debug")])
def test_debug_anywhere_shows_where_it_comes_from(monkeypatch: pytest.MonkeyPatch, where: tuple[str, ...]) -> None:
    monkeypatch.setattr(sys, "argv", ["try", *where])
    with pytest.raises(UserError):
        console.run(app)


def test_debug_can_be_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPEMOTION_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["try", "end", "bad"])
    with pytest.raises(UserError):
        console.run(app)


@pytest.mark.parametrize("bug", ["bug", "bug of a socket"])
def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, bug: str) -> None:
    monkeypatch.setattr(sys, "argv", ["try", "end", bug])
    with pytest.raises((RuntimeError, OSError)):
        console.run(app)


def test_interruption_and_failure_have_their_own_exit_codes(run) -> None:
    assert run("end", "interrupted")[0] == console.EXIT_INTERRUPTED
    assert run("end", "failed")[0] == console.EXIT_FAILED


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "No such command 'nope'"),
        (["end", "x", "--nope"], "--nope"),
        (["end"], "Missing argument"),
        (["end", "x", "--times", "many"], "Invalid value for '--times'"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_is_wrong(run, arguments: list[str], said: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_the_commands_and_debug(run, option: str) -> None:
    code, out, _ = run(option)
    assert code == 0
    assert "Two commands to try" in out
    assert "End in a way." in out
    assert "--debug" in out


def test_no_arguments_show_the_help(run) -> None:
    code, out, err = run()
    assert code in (0, 2)
    assert "Two commands to try" in out + err


@pytest.mark.parametrize("module", ["deepemotion.cli", "launcher.cli"])
def test_both_programs_show_the_version(lightly, module: str) -> None:
    shown = lightly(module, "--version")
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, f"deepemotion {deepemotion.__version__}\n", "")


def test_a_table_aligns_its_columns_and_leaves_nothing_behind_a_line():
    rows = [("trial", "state", "detail"), ("sub-01", "done", ""), ("2", "failed", "a long reason")]
    assert console.table(rows).splitlines() == [
        "trial   state   detail",
        "sub-01  done",
        "2       failed  a long reason",
    ]


def test_a_table_of_one_column_or_of_nothing_but_its_header_is_printed():
    assert console.table([("trial",), ("one",)]) == "trial\none"
    assert console.table([("trial", "state")]) == "trial  state"


def test_json_holds_unrounded_numbers_and_null_for_those_that_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    content = {
        "third": 1 / 3,
        "none": [math.nan, math.inf, np.float32("nan"), None],
        "of numpy": [np.float64(0.1), np.int64(3), np.bool_(True)],
        "path": Path("runs/r"),
        "names": ("a", "é"),
    }
    console.answer_json(content)
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "third": 1 / 3,
        "none": [None] * 4,
        "of numpy": [0.1, 3, True],
        "path": "runs/r",
        "names": ["a", "é"],
    }


def test_quiet_anywhere_leaves_results_and_problems(run) -> None:
    assert run("end", "well", "--quiet") == run("--quiet", "end", "well") == (0, "well\n", "")
    assert run("end", "bad", "--quiet") == (2, "", "error: labels.tsv:3: no such emotion; use JOY\n")
    assert run("end", "well") == (0, "well\n", "on the way\n")
