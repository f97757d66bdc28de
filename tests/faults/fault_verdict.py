"""What became of a run after a fault: recover as the messages say, and compare with the undisturbed run."""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from fault_base import EPOCHS, Base, Place
from fault_commands import Done, run, run_fresh
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

OUTCOMES = ("lost", "wrong", "traceback", "hang")
# So often is a message followed before following it counts as going in circles.
_ATTEMPTS = 8
_REMOVE = r"(?:delete|remove|put|move|set)"


@dataclass
class Verdict:
    """What was found after one injection, by outcome; nothing where all is well. `recipe` says what was done."""

    recipe: str = ""
    found: list[tuple[str, str]] = field(default_factory=list)

    def add(self, outcome: str, text: object) -> None:
        """Add a finding, once."""
        if (outcome, str(text)) not in self.found:
            self.found.append((outcome, str(text)))

    def hear(self, done: Done) -> None:
        """Judge how a command ended."""
        if done.code is None:
            self.add("hang", done)
        elif done.is_traceback:
            self.add("traceback", done)


def snapshot(place: Place) -> dict[str, tuple[list[str], bytes]]:
    """Return for each trial what is finished of it: the duration of each epoch, which no second training has, and
    the result.
    """
    kept = {}
    for trial in (place.run / "trials").glob("*"):
        result = trial / "result.json"
        kept[trial.name] = (_durations(trial / "epochs.tsv"), result.read_bytes() if result.is_file() else b"")
    return kept


def require_kept(verdict: Verdict, place: Place, before: dict[str, tuple[list[str], bytes]], may_cost: int = 0) -> None:
    """Note what was finished before and was trained again; `may_cost` epochs of each trial may be."""
    after = snapshot(place)
    for name, (durations, result) in before.items():
        now, result_now = after.get(name, ([], b""))
        kept = durations[: max(0, len(durations) - may_cost)]
        if now[: len(kept)] != kept:
            same = next((i for i, pair in enumerate(zip(kept, now, strict=False)) if pair[0] != pair[1]), len(now))
            verdict.add("lost", f"{name}: {len(durations)} epochs were done, {same} of them were kept")
        elif result and result != result_now and not may_cost:
            verdict.add("lost", f"{name}: its result was there and was made again")


def recover(verdict: Verdict, place: Place, base: Base, first: Callable[[], Done] | None = None) -> None:
    """Launch again, doing what messages say, until all is done; then compare with the undisturbed run.

    `first` is run before each further launch, in the place of trainings without Ray.
    """
    said: list[str] = []
    for _ in range(_ATTEMPTS):
        done = finish(place, base) if first is None else first()
        verdict.hear(done)
        if done.code is None:
            return
        if done.code == 0:
            compare(verdict, place, base, done.stdout)
            return
        helped = remedy(done.stderr, place, base)
        # What is not helped may pass by itself, as a busy machine does.
        if said.count(done.stderr) >= 2 or (not helped and len(said) >= 3):
            break
        said.append(done.stderr)
    verdict.add("hang", f"no end by doing what it says: {done}")


def finish(place: Place, base: Base) -> Done:
    """Train what is not done yet, without Ray, then launch and show the results; return what failed, or the last."""
    for trial, subjects in base.finished.trials():
        own = place.run / "trials" / trial.name
        if not (own / "result.json").exists():
            done = run("deepemotion", *place.train(own, subjects))
            if done.code != 0:
                return done
    return launch_and_show(place, run)


def launch_and_show(place: Place, runner: Callable[..., Done]) -> Done:
    """Launch, and show the results."""
    done = runner("deepemotion-launch", *place.launch)
    return run("deepemotion-launch", "results", place.run) if done.code == 0 else done


def remedy(said: str, place: Place, base: Base) -> bool:
    """Do what a message says; return whether it said anything that can be done."""
    text = " ".join(said.split())
    words = [re.sub(r"(:\d+)?[:,;]*$", "", word) for word in re.findall(r"/\S+", text)]
    inside = [Path(word) for word in words if word.startswith(str(place.folder))]
    folders = [Path(name) for name in re.findall(rf"{_REMOVE} the folder (\S+?),? (?:and|aside)", text)]
    helped = False
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        helped = True
    if not folders and re.search(rf"{_REMOVE} (?:it|them)\b", text):
        for path in inside[:1]:
            helped = path.exists()
            path.unlink(missing_ok=True) if not path.is_dir() else shutil.rmtree(path)
            if "result.json beside it" in text:
                (path.parent / "result.json").unlink(missing_ok=True)
                helped = True
    if re.search(r"pack (?:it|the subject|sub-\S+)?\s?again|deepemotion pack", text):
        done = run_fresh("deepemotion", "pack", base.raw, "--out", place.packed, "--subjects", "1,2")
        helped = done.code == 0
    if waiting := re.search(r"launch again in (\d+) s", text):
        for path in (place.run / "sessions").glob("*.json"):
            written = path.stat().st_mtime - int(waiting[1]) - 1
            os.utime(path, (written, written))
            helped = True
    if "deepemotion label" in text:
        shutil.copy2(base.finished.labels, place.labels)
        helped = True
    return helped


def compare(verdict: Verdict, place: Place, base: Base, shown: str) -> None:
    """Note every number that differs from the undisturbed run's, durations apart."""
    expected = numbers(base.finished.run)
    found = numbers(place.run)
    differing = [name for name in expected if name not in found or not _same(expected[name], found[name])]
    if differing:
        verdict.add("wrong", f"exit code 0, but these differ from an undisturbed run's: {', '.join(differing)}")
    reference = base.finished.folder / "results.txt"
    if not reference.exists():
        reference.write_text(run("deepemotion-launch", "results", base.finished.run).stdout)
    if shown and shown != reference.read_text():
        verdict.add("wrong", "`results` shows something else")


def numbers(run_folder: Path) -> dict[str, object]:
    """Return all numbers of a run that do not depend on how fast the machine was."""
    kept: dict[str, object] = {}
    for path in sorted([*run_folder.glob("tables/*.parquet"), *run_folder.glob("trials/*/predictions.parquet")]):
        try:
            kept[str(path.relative_to(run_folder))] = _timeless(pd.read_parquet(path))
        except (OSError, ValueError) as error:
            kept[str(path.relative_to(run_folder))] = f"unreadable: {error}"
    for path in run_folder.glob("tables/trials.csv"):
        kept["tables/trials.csv"] = _timeless(pd.read_csv(path))
    for path in sorted(run_folder.glob("trials/*/result.json")):
        content = json.loads(path.read_bytes())
        # Checksums cover durations; the files that they are of are compared themselves.
        timeless = {k: v for k, v in content.items() if not k.endswith("_s") and k not in ("checksum", "sha256")}
        kept[str(path.relative_to(run_folder))] = timeless
    for path in sorted(run_folder.glob("trials/*/epochs.tsv")):
        kept[str(path.relative_to(run_folder))] = _timeless(pd.read_csv(path, sep="\t"))
    for path in sorted(run_folder.glob("trials/*")):
        kept[f"trials/{path.name}/events.out.tfevents*"] = _steps(path, "loss/train")
        for side in (run_folder / "tensorboard" / "trials").glob("*/"):
            kept[f"{side.name} of {path.name}"] = _steps(side, f"trials {path.name.split('_')[0]}/{path.name}")
    return kept


def _timeless(table: pd.DataFrame) -> pd.DataFrame:
    kept = [name for name in table if not name.startswith("time/") and name not in ("duration_s", "training_s")]
    table = table[kept]
    return table.astype({name: str for name in table if isinstance(table[name].dtype, pd.CategoricalDtype)})


def _steps(folder: Path, tag: str) -> list[int]:
    """Return the epochs that TensorBoard shows of a tag; each once and in order is what is right."""
    steps: list[int] = []
    for path in sorted(folder.glob("events.out.tfevents*")):
        for event in EventFileLoader(str(path)).Load():
            steps += [event.step for value in event.summary.value if value.tag == tag]
    return steps if steps != list(range(1, EPOCHS + 1)) else []


def _same(one: object, other: object) -> bool:
    if isinstance(one, pd.DataFrame):
        return isinstance(other, pd.DataFrame) and list(one) == list(other) and one.equals(other)
    return one == other


def _durations(epochs: Path) -> list[str]:
    try:
        header, *lines = epochs.read_text(errors="replace").splitlines()
        column = header.split("\t").index("time/epoch")
        return [line.split("\t")[column] for line in lines]
    except (OSError, ValueError, IndexError):
        return []
