"""Runs parsers on generated inputs in child processes, so that a crash, a hang or a full memory is a finding.

The property: a parser gives a value or raises a UserError of one line, in bounded time and memory.
"""

import contextlib
import os
import resource
import shutil
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import input_targets
from fault_commands import context
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from input_examples import Examples

from deepemotion.errors import UserError

# An input that takes longer is a hang; most take milliseconds.
_DEADLINE_S = 40.0
# What a parser of small files may take on top of what the process has.
_MEMORY_BYTES = 3 * 2**30
_SHOWN = 400
# So many inputs of a target may end the process that reads them; the target is given up then.
_CHILDREN = 4


@dataclass
class Report:
    """What came of one target's inputs: how many were tried, and each different finding with an input."""

    tried: int = 0
    found: list[tuple[str, str]] = field(default_factory=list)


def run_all(
    folder: Path, total: int, seed: int, only: str = "", base: Path | None = None
) -> Iterator[tuple[str, Report]]:
    """Generate about `total` inputs over all targets, by their weights; give each target's report."""
    scratch = _scratch(folder)
    try:
        examples = Examples.make(scratch / "examples", base)
        targets = [target for target in input_targets.TARGETS if only in target.name]
        weights = sum(target.weight for target in targets)
        for target in targets:
            yield target.name, run_one(target.name, examples, max(1, round(total * target.weight / weights)), seed)
    finally:
        if scratch != folder:
            shutil.rmtree(scratch, ignore_errors=True)


def run_one(name: str, examples: Examples, count: int, seed: int) -> Report:
    """Generate `count` inputs for a target, in as many children as die of them."""
    report = Report()
    folder = examples.folder.parent / "child"
    for _ in range(_CHILDREN):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        arguments = (name, str(examples.folder), str(folder), count - report.tried, seed + report.tried)
        child = context().Process(target=_child, args=arguments)
        child.start()
        hung = _watch(child, folder)
        tried = _number(folder / "tried")
        report.tried += max(tried, 1)
        for path in sorted(folder.glob("finding-*")):
            outcome, _, text = path.read_text(errors="replace").partition("\n")
            _add(report, outcome, text)
        current = (folder / "current").read_text(errors="replace") if (folder / "current").exists() else "the start"
        if hung:
            _add(report, "hang", f"no answer in {_DEADLINE_S:.0f} s\n    input: {current}")
        elif child.exitcode:
            _add(report, "traceback", f"the process ended with {child.exitcode}\n    input: {current}")
        elif tried == 0:
            _add(report, "traceback", "no input was generated")
            break
        if report.tried >= count:
            break
    return report


def _scratch(folder: Path) -> Path:
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        return folder
    scratch = memory / f"faults-{os.getpid()}"
    scratch.mkdir()
    return scratch


def _add(report: Report, outcome: str, text: str) -> None:
    first = text.splitlines()[0] if text else ""
    if all(first != known.splitlines()[0] for _, known in report.found if known):
        report.found.append((outcome, text))


def _watch(child: object, folder: Path) -> bool:
    """Wait for the child's end; kill it and return True where an input takes too long."""
    seen, since = -1, time.monotonic()
    while child.exitcode is None:  # type: ignore[attr-defined]
        child.join(0.2)  # type: ignore[attr-defined]
        tried = _number(folder / "tried")
        if tried != seen:
            seen, since = tried, time.monotonic()
        # The first input waits for imports.
        if time.monotonic() - since > _DEADLINE_S * (1 if seen > 0 else 4):
            child.kill()  # type: ignore[attr-defined]
            child.join()  # type: ignore[attr-defined]
            return True
    return False


def _number(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text())
    return 0


def _child(name: str, examples_folder: str, folder: str, count: int, seed: int) -> None:
    os.chdir(folder)
    # No squeue of this machine is asked.
    os.environ["PATH"] = ""
    # Libraries talk of broken files.
    for descriptor in (1, 2):
        os.dup2(os.open("said", os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    target = next(target for target in input_targets.TARGETS if target.name == name)
    examples = Examples(Path(examples_folder))
    ready = target.prepare(examples, Path(folder))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + _MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    known: set[str] = set()
    tried = 0

    @seeded(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(ready.inputs)
    def check(value: object) -> None:
        nonlocal tried
        shown = ready.show(value)
        Path("current").write_text(shown, errors="replace")
        Path("tried").write_text(str(tried := tried + 1))
        found = judge(ready.parse, value)
        if found is not None and found[1].splitlines()[0] not in known:
            known.add(found[1].splitlines()[0])
            text = f"{found[0]}\n{found[1]}\n    input: {shown}"
            Path(f"finding-{len(known):03d}").write_text(text, errors="replace")

    check()


def judge(parse: "input_targets.Parse", value: object) -> tuple[str, str] | None:
    """Return the outcome and what is wrong with how a parser takes a value, None where all is well."""
    try:
        parse(value)
    except UserError as error:
        # Other characters that Unicode calls line ends leave a terminal where it is.
        lines = str(error).replace("\r", "\n").split("\n")
        return None if len(lines) == 1 else ("traceback", f"a message of several lines\n    {error}"[:_SHOWN])
    except MemoryError as error:
        return "hang", f"too much memory: {_where(error)}"
    except (Exception, SystemExit) as error:
        return "traceback", f"{type(error).__name__} in {_where(error)}\n    {str(error)[:150]!r}"
    return None


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/deepemotion/" in frame.filename or "/launcher/" in frame.filename]
    last = (own or frames)[-1]
    return f"{'/'.join(Path(last.filename).parts[-2:])}:{last.name}"
