"""The table of all faults. A fault is one entry: its name, and the function that injects it and judges what follows."""

import random
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fault_injections as inject
import fault_interruptions as interrupt
from fault_base import Base
from fault_damage import DAMAGE
from fault_disks import can_mount
from fault_verdict import Verdict

Inject = Callable[[random.Random, Base, Path], Verdict]


@dataclass(frozen=True)
class Fault:
    """A fault. `weight`: how often it is drawn; `kind`: the first word of what `--kinds` chooses by."""

    kind: str
    name: str
    inject: Inject
    weight: float = 1.0


# The files of a run, and how much damage to one may cost of its own trial: epochs, or all of it.
_NOTHING, _ONE_EPOCH, _THE_TRIAL = 0, 1, 10**6
_FINISHED = {
    "plan.tsv": _NOTHING,
    "experiment.yaml": _NOTHING,
    "provenance.json": _NOTHING,
    "sources.json": _NOTHING,
    "sessions/session-001.json": _NOTHING,
    ".aggregates": _NOTHING,
    "tables/trials.parquet": _NOTHING,
    "tables/trials.csv": _NOTHING,
    "tables/epochs.parquet": _NOTHING,
    "tables/predictions.parquet": _NOTHING,
    "trials/*/trial.json": _THE_TRIAL,
    "trials/*/result.json": _THE_TRIAL,
    "trials/*/epochs.tsv": _THE_TRIAL,
    "trials/*/predictions.parquet": _THE_TRIAL,
    "trials/*/log.txt": _NOTHING,
    "trials/*/events.out.tfevents*": _THE_TRIAL,
    "trials/*/checkpoints/last.pt": _NOTHING,
    "trials/*/checkpoints/best.pt": _NOTHING,
}
_HALF = {
    "trial.json": _THE_TRIAL,
    "epochs.tsv": _NOTHING,
    "log.txt": _NOTHING,
    "events.out.tfevents*": _NOTHING,
    "failure.json": _NOTHING,
    "checkpoints/last.pt": _ONE_EPOCH,
    "checkpoints/previous.pt": _NOTHING,
    "checkpoints/best.pt": _NOTHING,
}
_DATASETS = ["mask", "affine", "run", "index_in_run", "movie_time", "scale", "crc32", "volumes"]
_DATASETS += [f"statistics/{name}" for name in ("mean", "std", "trend")]
_SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL", "SIGSTOP"]
_OF_DISK = {"full disk": inject.full_disk, "read-only folder": inject.read_only}


FAULTS: list[Fault] = [
    # Damage to a file of a run that is finished: the damage is repaired or named, and no number is wrong.
    *(
        Fault("damage", f"finished {file}", inject.damaged_run(file, cost, half=False), 0.7)
        for file, cost in _FINISHED.items()
    ),
    # Damage to a file of a trial that was interrupted, which the same command resumes.
    *(
        Fault("damage", f"interrupted {file}", inject.damaged_run(file, cost, half=True))
        for file, cost in _HALF.items()
    ),
    # Damage to a packed subject before it is trained on.
    *(Fault("packed", f"packed /{name}", inject.damaged_dataset(name)) for name in _DATASETS),
    Fault("packed", "packed file, any byte", inject.damaged_packed(tuple(DAMAGE)), 3),
    Fault("packed", "labels.tsv", inject.damaged_labels(tuple(DAMAGE)), 2),
    Fault("packed", "vanished: packed subjects or labels", inject.vanished_packed, 2),
    # Clocks and times.
    Fault("clock", "a session record from the future", inject.record_from_the_future),
    Fault("clock", "results older than tables", inject.results_older_than_tables),
    Fault("clock", "all times moved", inject.times_moved),
    # Disks and folders.
    *(Fault("disk", f"{name}: train", function) for name, function in _OF_DISK.items() if can_mount()),
    *(Fault("disk", "read-only folder: look at it", inject.looked_at_read_only) for _ in "1" if can_mount()),
    *(Fault("disk", "full disk: pack", inject.full_disk_packing) for _ in "1" if can_mount()),
    Fault("disk", "vanished: a trial's folder", inject.vanished("trials/*")),
    Fault("disk", "vanished: tables", inject.vanished("tables")),
    Fault("disk", "vanished: checkpoints", inject.vanished("trials/*/checkpoints")),
    # Signals to the packer.
    *(Fault("pack", f"{name}: packer", interrupt.signalled_packing(name)) for name in _SIGNALS),
    *(
        Fault("pack", f"{name}: packer's worker", interrupt.signalled_packing(name, worker=True))
        for name in _SIGNALS[3:]
    ),
    # Faults in a launch with Ray.
    *(Fault("ray", f"{name}: driver", interrupt.signalled_launch(name, "driver"), 0.8) for name in _SIGNALS),
    *(Fault("ray", f"{name}: group", interrupt.signalled_launch(name, "group"), 0.5) for name in _SIGNALS),
    *(
        Fault("ray", f"SIGKILL: {role}", interrupt.signalled_launch("SIGKILL", role))
        for role in ("worker", "raylet", "gcs", "agent")
    ),
    *(
        Fault("ray", f"SIGSTOP: {role}", interrupt.signalled_launch("SIGSTOP", role), 0.5)
        for role in ("worker", "raylet")
    ),
    Fault("ray", "two launches at once", interrupt.two_launches),
    Fault("ray", "launch beside a record from the future", interrupt.launched_beside_the_future),
    *(Fault("ray", "full disk: launch", interrupt.full_disk_launch) for _ in "1" if can_mount()),
    Fault("ray", "vanished while running: a trial's folder", interrupt.vanished_while_running("trials/*")),
    Fault("ray", "vanished while running: .lock", interrupt.vanished_while_running(".lock")),
]


def judge(fault: Fault, base: Base, folder: Path, seed: int) -> tuple[Verdict, float]:
    """Inject one fault with chances of its own; return the verdict and how long it took (s)."""
    started = time.monotonic()
    try:
        verdict = fault.inject(random.Random(f"{fault.name} {seed}"), base, folder)
    except Exception:
        verdict = Verdict("the suite itself, or a file that it could not read")
        verdict.add("traceback", traceback.format_exc())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return verdict, time.monotonic() - started
