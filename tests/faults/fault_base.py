"""What every fault starts from: a small dataset, and runs of it that nothing disturbed, whole and half finished."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fault_commands import run, run_fresh

EPOCHS = 20
HALF = 8
_SETTINGS = (f"train.epochs={EPOCHS}", "data.drop_overlaps=false")
WORDS = tuple(word for setting in _SETTINGS for word in ("--set", setting))


@dataclass(frozen=True)
class Place:
    """A folder with everything that a launch needs: `raw`, `packed`, `labels.tsv` and `runs/r`."""

    folder: Path

    @property
    def packed(self) -> Path:
        """The packed subjects."""
        return self.folder / "packed"

    @property
    def labels(self) -> Path:
        """The label table."""
        return self.folder / "labels.tsv"

    @property
    def run(self) -> Path:
        """The run."""
        return self.folder / "runs" / "r"

    @property
    def launch(self) -> list[str]:
        """The words of the launch, always the same."""
        words = ["--subjects", "1,2", "--model", "linear", "--config", "demo", *WORDS, "--name", "r"]
        words += ["--data", self.packed, "--labels", self.labels, "--runs", self.folder / "runs"]
        return list(map(str, words))

    def train(self, trial: Path, subjects: str) -> list[str]:
        """Return the words that train a trial of the run without Ray, as a user could."""
        words = ["train", trial, "--data", self.packed, "--labels", self.labels, "--subjects", subjects]
        return list(map(str, [*words, "--config", "demo", *WORDS, "--set", "model.name=linear"]))

    def trials(self) -> Iterator[tuple[Path, str]]:
        """Give each planned trial's folder and its subjects, as `--subjects` takes them."""
        header, *lines = (self.run / "plan.tsv").read_text().splitlines()
        for line in lines:
            row = dict(zip(header.split("\t"), line.split("\t"), strict=True))
            yield self.run / "trials" / row["name"], ",".join(json.loads(row["settings"])["subjects"])


@dataclass(frozen=True)
class Base:
    """The undisturbed state that faults are compared with; its folders are only read."""

    finished: Place
    half: Place
    raw: Path

    def fresh(self, folder: Path) -> Place:
        """Return copies of the packed subjects and the labels, without a run."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copytree(self.finished.packed, folder / "packed")
        shutil.copy2(self.finished.labels, folder / "labels.tsv")
        return Place(folder)

    def copy(self, of: Place, folder: Path) -> Place:
        """Return a copy that a fault may spoil."""
        place = self.fresh(folder)
        shutil.copytree(of.run, place.run)
        return place


def build(folder: Path, raw: Path | None = None) -> Base:
    """Make the base in `folder`, from the simulated dataset `raw` if it is given.

    The reference is trained without Ray, so that what Ray trains is compared with something that it has no part in.
    """
    whole, half = Place(folder / "finished"), Place(folder / "half")
    whole.folder.mkdir(parents=True)
    own = folder / "raw"
    if raw is None:
        _simulated(own)
    else:
        own.symlink_to(raw)
    _do(run_fresh("deepemotion", "pack", own, "--out", whole.packed, "--subjects", "1,2"))
    where = ("--annotations", own / "annotations", "--dataset", own / "dataset.yaml", "--out", whole.labels)
    _do(run("deepemotion", "label", *where, "--rule", "interval", "--observers", "av"))
    _do(run("deepemotion-launch", *whole.launch, "--plan-only"))
    shutil.copytree(whole.folder, half.folder)
    for trial, subjects in whole.trials():
        _do(run("deepemotion", *whole.train(trial, subjects)))
    _do(run("deepemotion-launch", *whole.launch))
    first, second, _ = half.trials()
    shutil.copytree(whole.run / "trials" / first[0].name, first[0])
    _stop_at(HALF, half, *second)
    return Base(whole, half, own)


def _simulated(root: Path) -> None:
    from deepemotion.simulation.folder import simulate
    from deepemotion.simulation.parameters import Parameters

    parameters = Parameters(subjects=2, shape=(12, 14, 10), volumes_per_run=20, signal=5.0)
    simulate(root, parameters, jobs=1)


def _stop_at(epoch: int, place: Place, trial: Path, subjects: str) -> None:
    """Leave a trial as a training leaves it that is interrupted right after `epoch`."""
    from deepemotion import config_files
    from deepemotion.settings.schema import make_trial, read_settings
    from deepemotion.training.loop import train
    from deepemotion.training.trial_directory import TrialDirectory

    def interrupt(metrics: dict[str, float]) -> None:
        if metrics["epoch"] == epoch:
            raise KeyboardInterrupt

    settings = read_settings(config_files.find("demo"), [*_SETTINGS, "model.name=linear"])
    chosen = make_trial(settings, subjects.split(","), [])
    try:
        train(chosen, place.packed, place.labels, TrialDirectory(trial), interrupt)
    except KeyboardInterrupt:
        return
    raise AssertionError("the training was not interrupted")


def _do(done: object) -> None:
    assert getattr(done, "code") == 0, str(done)  # noqa: B009
