"""Fixtures that several test folders share."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import hypothesis
import pytest

from deepemotion.labels.table import Labels
from deepemotion.simulation.folder import simulate
from deepemotion.simulation.parameters import Parameters

# How long an example takes depends on what else the machine does.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# A shell that starts the tests in the background makes them, and all that they start, ignore Ctrl-C, and nohup hangups.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

Command = Callable[..., subprocess.CompletedProcess[str]]
Answer = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def shared_annotations() -> Path:
    """Return the folder of the real observers' files: required in CI, optional elsewhere."""
    folder = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "annotations" / "raw"
    if not folder.is_dir():
        assert os.environ.get("CI") != "true", f"{folder} is missing"
        pytest.skip(f"{folder} is not here")
    return folder


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of a simulated dataset (3 subjects, 8 runs of 20 volumes) with a strong signal. Read it only."""
    root = tmp_path_factory.mktemp("simulated") / "tiny"
    parameters = Parameters(subjects=3, shape=(12, 14, 10), volumes_per_run=20, signal=5.0)
    simulate(root, parameters, jobs=1)
    return root


@pytest.fixture(scope="session")
def command() -> Command:
    """Return a function that runs `deepemotion` or `deepemotion-launch` with arguments, as a user does."""

    def run(program: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        script = Path(sys.executable).with_name(program)
        words = [str(script), *map(str, arguments)]
        return subprocess.run(words, capture_output=True, text=True, timeout=600, check=False, **options)

    return run


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Answer]:
    """Return a function that runs a program here, without a process of its own: exit code, output and errors."""
    mask = os.umask(0)
    os.umask(mask)

    def run(program: str, *arguments: object) -> tuple[int, str, str]:
        cli = import_module({"deepemotion": "deepemotion.cli", "deepemotion-launch": "launcher.cli"}[program])
        monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), *capsys.readouterr()

    yield run
    # Commands on a run make files private.
    os.umask(mask)


@pytest.fixture(scope="session")
def lightly() -> Command:
    """Return a function that runs a program, by the module of its commands, and fails where it imports much."""
    code = (
        "import sys; from importlib import import_module; cli = import_module(sys.argv.pop(1))\n"
        "try: cli.main()\n"
        "finally: assert not {'ray', 'torch', 'pandas', 'nibabel', 'matplotlib', 'submitit'} & set(sys.modules)"
    )

    def run(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", code, module, *map(str, arguments)]
        return subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)

    return run


@pytest.fixture(scope="session")
def refusal(lightly: Command) -> Callable[..., str]:
    """Return a function that runs a program whose use is wrong, and returns the one line that it says."""

    def run(module: str, *arguments: object) -> str:
        done = lightly(module, *arguments)
        assert done.returncode == 2, done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        return done.stderr

    return run


@pytest.fixture(scope="session")
def tiny_packed(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory, command: Command) -> Path:
    """Return the folder of the tiny dataset's packed subjects. Read it only."""
    packed = tmp_path_factory.mktemp("packed")
    done = command("deepemotion", "pack", tiny_dataset, "--out", packed)
    assert done.returncode == 0, done.stderr
    return packed


@pytest.fixture(scope="session")
def tiny_labels(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory, command: Command) -> Path:
    """Return the tiny dataset's labels.tsv. Read it only."""
    out = tmp_path_factory.mktemp("labels") / "labels.tsv"
    where = ("--annotations", tiny_dataset / "annotations", "--dataset", tiny_dataset / "dataset.yaml")
    done = command("deepemotion", "label", *where, "--rule", "interval", "--observers", "av", "--out", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def paper_labels(shared_annotations: Path, tmp_path_factory: pytest.TempPathFactory, command: Command) -> Labels:
    """Return the published labels, made from the real annotations."""
    out = tmp_path_factory.mktemp("labels") / "paper.tsv"
    where = ("--annotations", shared_annotations, "--dataset", "studyforrest")
    done = command("deepemotion", "label", *where, "--rule", "paper", "--out", out)
    assert done.returncode == 0, done.stderr
    return Labels.read(out)
