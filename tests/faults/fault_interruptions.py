"""Injections into programs that run: signals, two at once, disks that get full, folders that vanish."""

import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from fault_base import Base
from fault_commands import run_fresh, wait_until
from fault_disks import release, small_disk
from fault_processes import Victim
from fault_steps import judge_signalled, moment, require_packed, signal_packer, write_record
from fault_verdict import Verdict, launch_and_show, recover, require_kept, snapshot

Inject = Callable[[random.Random, Base, Path], Verdict]


def signalled_packing(name: str, worker: bool = False) -> Inject:
    """Send a signal to a packing, then pack again."""

    def inject(chance: random.Random, base: Base, folder: Path) -> Verdict:
        place = base.copy(base.finished, folder)
        words = ["pack", str(base.raw), "--out", str(place.packed), "--subjects", "1,2"]
        if chance.random() < 0.8:
            shutil.rmtree(place.packed)
        after = chance.uniform(0, 4)
        verdict = Verdict(f"deepemotion pack; {name} to {'a worker' if worker else 'it'} after {after:.2f} s; again")
        with Victim("deepemotion", words, place.packed) as victim:
            time.sleep(after)
            signal_packer(victim, signal.Signals[name], worker, chance)
            if name == "SIGSTOP":
                time.sleep(chance.uniform(0, 3))
                signal_packer(victim, signal.SIGCONT, worker, chance)
            done = victim.wait()
        judge_signalled(verdict, done, name, "worker" if worker else "driver")
        verdict.hear(again := run_fresh("deepemotion", *words))
        if again.code != 0:
            verdict.add("hang", f"packing again fails: {again}")
        require_packed(verdict, place, base)
        return verdict

    return inject


def signalled_launch(name: str, role: str) -> Inject:
    """Send a signal to a process of a launch with Ray, then launch again until all is done."""

    def inject(chance: random.Random, base: Base, folder: Path) -> Verdict:
        place = base.fresh(folder)
        when, after = moment(chance, place)
        verdict = Verdict(f"launch; {name} to {role} {when}; the same launch again")
        with Victim("deepemotion-launch", place.launch, place.run) as victim:
            after(victim)
            chosen = chance.random()
            # A process that has not begun yet is waited for, unless the launch ends before.
            wait_until(lambda: victim.send(role, signal.Signals[name], chosen) or victim.process.poll() is not None, 60)
            if name == "SIGSTOP":
                time.sleep(chance.uniform(0.5, 12))
                for _ in range(3):
                    for process in victim.family():
                        process.send_signal(signal.SIGCONT)
            done = victim.wait()
            before = snapshot(place)
            if chance.random() < 0.5:
                victim.wait_for_family(90)
            judge_signalled(verdict, done, name, role)
            recover(verdict, place, base, lambda: launch_and_show(place, run_fresh))
        require_kept(verdict, place, before)
        return verdict

    return inject


def two_launches(chance: random.Random, base: Base, folder: Path) -> Verdict:
    """Launch twice at the same time: one does it, the other says that somebody does."""
    place = base.fresh(folder)
    apart = chance.uniform(0, 8)
    verdict = Verdict(f"two equal launches, {apart:.1f} s apart")
    with Victim("deepemotion-launch", place.launch, place.run) as first:
        time.sleep(apart)
        other = run_fresh("deepemotion-launch", *place.launch)
        done = first.wait()
    verdict.hear(done)
    verdict.hear(other)
    if sorted([done.code or 0, other.code or 0]) not in ([0, 0], [0, 2]):
        verdict.add("hang", f"neither did it: {done}; {other}")
    recover(verdict, place, base, lambda: launch_and_show(place, run_fresh))
    return verdict


def full_disk_launch(chance: random.Random, base: Base, folder: Path) -> Verdict:
    """Launch with Ray on a disk that gets full, then with room."""
    place, kilobytes = base.fresh(folder), chance.randrange(40, 1500)
    verdict = Verdict(f"launch onto a disk of {kilobytes} KB, then with 256 MB")
    try:
        with small_disk(place.run, kilobytes), Victim("deepemotion-launch", place.launch, place.run) as victim:
            verdict.hear(victim.wait())
        before = snapshot(place)
        recover(verdict, place, base, lambda: launch_and_show(place, run_fresh))
        require_kept(verdict, place, before)
    finally:
        release(place.run)
    return verdict


def vanished_while_running(pattern: str) -> Inject:
    """Remove a part of a run that a launch is at work on; launch once more beside it where it was the lock."""

    def inject(chance: random.Random, base: Base, folder: Path) -> Verdict:
        place = base.fresh(folder)
        when, after = moment(chance, place)
        verdict = Verdict(f"launch; {pattern} removed {when}; the same launch again")
        with Victim("deepemotion-launch", place.launch, place.run) as victim:
            after(victim)
            for path in sorted(place.run.glob(pattern))[:1]:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
            if pattern == ".lock" and victim.process.poll() is None:
                other = run_fresh("deepemotion-launch", *place.launch)
                if len(list(place.run.glob("sessions/session-*.json"))) > 1:
                    verdict.add("hang", f"a second launch was let in beside the first: {other}")
            verdict.hear(victim.wait())
        recover(verdict, place, base, lambda: launch_and_show(place, run_fresh))
        return verdict

    return inject


def launched_beside_the_future(chance: random.Random, base: Base, folder: Path) -> Verdict:
    """Launch where another machine, whose clock is ahead, was killed in the middle of its session."""
    place = base.copy(base.half, folder)
    ahead = chance.uniform(60, 7200)
    names = [trial.name for trial, _ in base.finished.trials()]
    write_record(place, names[1:], host="another", beat=time.time() + ahead)
    verdict = Verdict(
        f"an interrupted run; a record of host `another` that beats in {ahead:.0f} s and is at work; launch"
    )
    before = snapshot(place)
    done = run_fresh("deepemotion-launch", *place.launch)
    verdict.hear(done)
    if done.code == 0 and not (place.run / "tables" / "trials.csv").exists():
        verdict.add("wrong", "launch exits 0 and names its tables, and there are none")
    recover(verdict, place, base, lambda: launch_and_show(place, run_fresh))
    require_kept(verdict, place, before)
    return verdict
