"""Injections into files, disks and clocks: each spoils a copy of the base in one way, recovers, and judges."""

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from fault_base import Base
from fault_commands import run, run_fresh
from fault_damage import DAMAGE, damage, damage_dataset
from fault_disks import read_only as read_only_mount
from fault_disks import release, small_disk
from fault_steps import add_what_launches_leave, require_others_kept, require_packed, write_record
from fault_verdict import Verdict, compare, finish, numbers, recover, require_kept, snapshot

Inject = Callable[[random.Random, Base, Path], Verdict]
_HOUR_S = 3600


def damaged_run(file: str, may_cost: int, half: bool) -> Inject:
    """Damage one file of a finished run, or of the trial of a run that was interrupted."""

    def inject(chance: random.Random, base: Base, folder: Path) -> Verdict:
        place = base.copy(base.half if half else base.finished, folder)
        pattern = f"trials/{list(base.half.trials())[1][0].name}/{file}" if half else file
        add_what_launches_leave(place)
        path = chance.choice(sorted(place.run.glob(pattern)))
        how = chance.choice(list(DAMAGE))
        verdict = Verdict(f"{'interrupted' if half else 'finished'} run, {path.relative_to(place.run)}: {how}")
        before = snapshot(place)
        damage(chance, path, how)
        recover(verdict, place, base)
        require_others_kept(verdict, place, before, path, may_cost)
        return verdict

    return inject


def damaged_dataset(name: str) -> Inject:
    """Damage a dataset of a packed subject, whose checksums stay."""

    def inject(chance: random.Random, base: Base, folder: Path) -> Verdict:
        place = base.fresh(folder)
        said = damage_dataset(chance, place.packed / f"sub-0{chance.choice('12')}.h5", name)
        verdict = Verdict(said)
        recover(verdict, place, base)
        return verdict

    return inject


def damaged_packed(ways: tuple[str, ...]) -> Inject:
    """Damage any bytes of a packed subject."""

    def inject(chance: random.Random, base: Base, folder: Path) -> Verdict:
        place = base.fresh(folder)
        path, how = place.packed / f"sub-0{chance.choice('12')}.h5", chance.choice(ways)
        damage(chance, path, how)
        verdict = Verdict(f"{path.name}: {how}")
        recover(verdict, place, base)
        return verdict

    return inject


def damaged_labels(ways: tuple[str, ...]) -> Inject:
    """Damage the labels of a run that is planned: what is trained then is other trials, or nothing."""

    def inject(chance: random.Random, base: Base, folder: Path) -> Verdict:
        place = base.copy(base.finished, folder)
        how = chance.choice(ways)
        damage(chance, place.labels, how)
        verdict = Verdict(f"labels.tsv: {how}; launch --dry-run, then the labels put back")
        verdict.hear(run("deepemotion-launch", *place.launch, "--dry-run"))
        shutil.copy2(base.finished.labels, place.labels)
        recover(verdict, place, base)
        return verdict

    return inject


def record_from_the_future(chance: random.Random, base: Base, folder: Path) -> Verdict:
    """Leave the record of a session on a machine whose clock is ahead, as if it trained."""
    place = base.copy(base.finished, folder)
    shutil.rmtree(place.run / "tables")
    names = [trial.name for trial, _ in base.finished.trials()]
    ahead = chance.uniform(60, 2 * _HOUR_S)
    write_record(place, names, host="another", beat=time.time() + ahead)
    verdict = Verdict(f"a finished run without tables; a record of host `another` that beats in {ahead:.0f} s; launch")
    recover(verdict, place, base)
    return verdict


def results_older_than_tables(chance: random.Random, base: Base, folder: Path) -> Verdict:
    """Leave tables of a part of the results, that are younger than all results."""
    place = base.copy(base.half, folder)
    verdict = Verdict("tables of one trial of three; the others' results are an hour older than these; launch")
    verdict.hear(run("deepemotion-launch", "results", place.run))
    for trial in list(base.finished.trials())[1:]:
        own = place.run / "trials" / trial[0].name
        shutil.rmtree(own, ignore_errors=True)
        shutil.copytree(trial[0], own)
        for path in own.rglob("*"):
            os.utime(path, (time.time() - _HOUR_S, time.time() - _HOUR_S))
    done = run("deepemotion-launch", *place.launch)
    verdict.hear(done)
    expected, found = (numbers(run_folder).get("tables/trials.csv") for run_folder in (base.finished.run, place.run))
    if found is None or not expected.equals(found):
        verdict.add("wrong", "launch exits 0, and tables/trials.csv lacks results")
    return verdict


def times_moved(chance: random.Random, base: Base, folder: Path) -> Verdict:
    """Give every file of a run another time, before or after now."""
    place = base.copy(chance.choice([base.finished, base.half]), folder)
    before = snapshot(place)
    for path in place.folder.rglob("*"):
        moved = time.time() + chance.uniform(-2 * _HOUR_S, 2 * _HOUR_S)
        os.utime(path, (moved, moved))
    verdict = Verdict(f"{'finished' if (place.run / 'tables').exists() else 'half'}: times of all files moved; launch")
    recover(verdict, place, base)
    require_kept(verdict, place, before)
    return verdict


def full_disk(chance: random.Random, base: Base, folder: Path) -> Verdict:
    """Train and launch on a disk that gets full, then on one with room."""
    place, kilobytes = base.fresh(folder), chance.randrange(40, 700)
    verdict = Verdict(f"the run's disk has {kilobytes} KB; train and launch, then with 256 MB again")
    try:
        with small_disk(place.run, kilobytes):
            verdict.hear(finish(place, base))
            before = snapshot(place)
        recover(verdict, place, base)
        require_kept(verdict, place, before)
    finally:
        release(place.run)
    return verdict


def full_disk_packing(chance: random.Random, base: Base, folder: Path) -> Verdict:
    """Pack onto a disk that gets full, then with room."""
    place = base.copy(base.finished, folder)
    kilobytes = chance.randrange(20, 900)
    shutil.rmtree(place.packed)
    words = ("deepemotion", "pack", base.raw, "--out", place.packed, "--subjects", "1,2")
    verdict = Verdict(f"deepemotion pack onto a disk of {kilobytes} KB, then with 256 MB")
    try:
        with small_disk(place.packed, kilobytes):
            verdict.hear(run_fresh(*words))
        verdict.hear(run_fresh(*words))
        require_packed(verdict, place, base)
    finally:
        release(place.packed)
    return verdict


def read_only(chance: random.Random, base: Base, folder: Path) -> Verdict:
    """Train and launch where nothing can be written, then where it can."""
    place = base.copy(base.half, folder)
    _, interrupted, _ = base.half.trials()
    which = chance.choice([place.run, place.run / "trials", place.run / "trials" / interrupted[0].name])
    verdict = Verdict(f"{which.relative_to(place.folder)} is read-only; train and launch, then writable")
    before = snapshot(place)
    with read_only_mount(which):
        verdict.hear(finish(place, base))
    recover(verdict, place, base)
    require_kept(verdict, place, before)
    return verdict


def looked_at_read_only(chance: random.Random, base: Base, folder: Path) -> Verdict:
    """Look at a finished run that cannot be written."""
    place = base.copy(base.finished, folder)
    command = chance.choice(["status", "results"])
    verdict = Verdict(f"a finished run is read-only; {command}")
    with read_only_mount(place.run):
        done = run("deepemotion-launch", command, place.run)
    verdict.hear(done)
    if done.code != 0:
        verdict.add("hang", f"refused instead of shown: {done}")
    elif command == "results":
        compare(verdict, place, base, done.stdout)
    return verdict


def vanished(pattern: str) -> Inject:
    """Remove a part of a run between two launches."""

    def inject(chance: random.Random, base: Base, folder: Path) -> Verdict:
        place = base.copy(base.finished, folder)
        path = chance.choice(sorted(place.run.glob(pattern)))
        verdict = Verdict(f"finished run: {path.relative_to(place.run)} removed; launch")
        before = snapshot(place)
        shutil.rmtree(path)
        before.pop(path.name, None)
        recover(verdict, place, base)
        require_kept(verdict, place, before)
        return verdict

    return inject


def vanished_packed(chance: random.Random, base: Base, folder: Path) -> Verdict:
    """Remove packed subjects from under a run that is half finished."""
    place = base.copy(base.half, folder)
    path = chance.choice([place.packed, place.packed / "sub-01.h5", place.packed / "sub-02.h5", place.labels])
    verdict = Verdict(f"interrupted run: {path.relative_to(place.folder)} removed; train and launch")
    before = snapshot(place)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    recover(verdict, place, base)
    require_kept(verdict, place, before)
    return verdict
