"""Completion of commands and options in shells: their scripts, and what these ask the programs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LAUNCH = "deepemotion-launch"
VARIABLES = {"deepemotion": "_DEEPEMOTION_COMPLETE", LAUNCH: "_DEEPEMOTION_LAUNCH_COMPLETE"}


@pytest.fixture
def complete(in_process, monkeypatch):
    """Return a function that asks a program as a shell's script does, for a line that ends at the cursor."""

    def ask(shell, line, **more):
        program, *words = line.split(" ")
        asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words)), "_TYPER_COMPLETE_ARGS": line, **more}
        for name, value in ({VARIABLES[program]: f"complete_{shell}"} | asked).items():
            monkeypatch.setenv(name, value)
        return in_process(program)

    return ask


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        (f"{LAUNCH} sta", ["status"]),
        (f"{LAUNCH} re", ["results", "report", "reproduce", "retry"]),
        (f"{LAUNCH} status runs/r --st", ["--state"]),
        (f"{LAUNCH} --on slurm", ["slurm", "slurm-array"]),
        (f"{LAUNCH} completion ", ["bash", "zsh", "fish"]),
        ("deepemotion insp", ["inspect"]),
        ("deepemotion inspect --j", ["--json"]),
        # The shell itself completes paths.
        (f"{LAUNCH} status run", []),
    ],
)
def test_bash_is_offered_commands_options_and_choices(complete, line, offered):
    code, out, err = complete("bash", line)
    assert (code, out.split(), err) == (0, offered, "")


def test_zsh_and_fish_are_offered_them_with_their_help(complete):
    code, out, _ = complete("zsh", f"{LAUNCH} sta")
    assert code == 0
    assert out.startswith('_arguments \'*: :(("status":"Show how many trials')
    code, out, _ = complete("fish", f"{LAUNCH} sta", _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert code == 0
    assert out.startswith("status\tShow how many trials")
    # Without anything to offer, fish completes paths.
    assert complete("fish", f"{LAUNCH} status run", _TYPER_COMPLETE_FISH_ACTION="is-args")[0] == 1


@pytest.mark.parametrize("program", list(VARIABLES))
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_asks_the_program(in_process, program, shell):
    code, out, err = in_process(program, "completion", shell)
    assert (code, err) == (0, "")
    assert f"{VARIABLES[program]}=complete_{shell}" in out
    # Where the shell is installed, it can read the script.
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=out, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_a_shell_that_is_not_supported_is_bad_input(in_process):
    code, out, err = in_process(LAUNCH, "completion", "tcsh")
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_bash_completes_a_command_by_the_script():
    script = f"""
        eval "$({LAUNCH} completion bash)"
        COMP_WORDS=({LAUNCH} compa) COMP_CWORD=1
        _deepemotion_launch_completion {LAUNCH}
        echo "${{COMPREPLY[@]}}"
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", script], env={"PATH": path}, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("compare\n", "")


def test_a_completion_loads_nothing_heavy(lightly, monkeypatch):
    monkeypatch.setenv("__C_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"{LAUNCH} sta")
    monkeypatch.setenv("COMP_CWORD", "1")
    # The program that `lightly` runs is called -c.
    done = lightly("launcher.cli")
    assert (done.returncode, done.stderr) == (0, "")
