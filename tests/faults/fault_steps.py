"""Steps that several injections share: records of sessions, moments of a launch, and checks of what is left."""

import json
import random
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil
from fault_base import EPOCHS, Base, Place
from fault_commands import Done, run, wait_until
from fault_processes import Victim
from fault_verdict import Verdict, require_kept

from deepemotion.training.trial_directory import TrialDirectory
from launcher.run.sessions import SessionFile

# What a program may end with when it is asked to end.
_DOCUMENTED = (0, 1, 2, 130)
_STARTS_WITHIN_S = 14.0


def add_what_launches_leave(place: Place) -> None:
    """Add the files that a launch with Ray leaves, which the base was made without."""
    names = [trial.name for trial, _ in place.trials()]
    SessionFile(place.run / "sessions", names, None, None).end("done")
    (place.run / ".aggregates").write_text(str(time.time()))
    for name in names:
        directory = TrialDirectory(place.run / "trials" / name)
        if directory.path.exists() and not directory.result.exists():
            directory.write_failure("its worker was lost", "session-001")


def write_record(place: Place, running: list[str], host: str, beat: float) -> None:
    """Write the record of a session that says it is training."""
    add_what_launches_leave(place)
    path = place.run / "sessions" / "session-001.json"
    content = json.loads(path.read_text()) | {"running": running, "host": host, "ended": None}
    content |= {"started": beat - 60, "beat": beat}
    path.write_text(json.dumps(content) + "\n")


def require_others_kept(
    verdict: Verdict, place: Place, before: Mapping[str, tuple[list[str], bytes]], damaged: Path, may_cost: int
) -> None:
    """Note trials trained again, of the one that `damaged` belongs to only those that it may not cost."""
    own = damaged.relative_to(place.run).parts[1:2]
    require_kept(verdict, place, {name: done for name, done in before.items() if name not in own})
    require_kept(verdict, place, {name: done for name, done in before.items() if name in own}, may_cost)


def require_packed(verdict: Verdict, place: Place, base: Base) -> None:
    """Note packed subjects that are not whole and equal to those packed without a disturbance."""
    import h5py

    files = sorted(base.finished.packed.glob("sub-*.h5"))
    done = run("deepemotion", "verify", *(place.packed / path.name for path in files))
    if done.code != 0:
        verdict.add("wrong", f"packed again, verify says: {done.stdout.strip()} {done}")
        return
    for path in files:
        with h5py.File(path) as one, h5py.File(place.packed / path.name) as other:
            if one.attrs["checksum"] != other.attrs["checksum"]:
                verdict.add("wrong", f"{path.name}: other content than packed without a disturbance")


def moment(chance: random.Random, place: Place) -> tuple[str, Callable[[Victim], None]]:
    """Choose a moment of a launch: after some seconds, or after some epochs of the first trial that has as many."""
    if chance.random() < 0.4:
        seconds = chance.uniform(0, _STARTS_WITHIN_S)
        return f"after {seconds:.1f} s", lambda victim: time.sleep(seconds)
    epochs = chance.randrange(0, EPOCHS)

    def reached() -> bool:
        found = place.run.glob("trials/*/epochs.tsv" if epochs else "trials/*")
        return any(not epochs or len(path.read_bytes().splitlines()) > epochs for path in found)

    def wait(victim: Victim) -> None:
        wait_until(lambda: victim.process.poll() is not None or reached(), 120)

    return f"after epoch {epochs}", wait


def signal_packer(victim: Victim, number: signal.Signals, worker: bool, chance: random.Random) -> None:
    """Send a signal to a packing, or to one of the processes below it."""
    if not worker:
        victim.send("driver", number, 0.0)
        return
    below = [process for process in victim.family() if process.pid != victim.process.pid]
    if below:
        try:
            chance.choice(below).send_signal(number)
        except psutil.Error:
            return


def judge_signalled(verdict: Verdict, done: Done, name: str, role: str) -> None:
    """Judge how a program ended that a signal was sent to, or to a process below it."""
    number = signal.Signals[name]
    # A signal may end a packing, and a hangup or a kill a launch; any other end of a launch has an exit code.
    allowed = done.words[0] == "deepemotion" or number in (signal.SIGHUP, signal.SIGKILL)
    if role in ("driver", "group") and allowed and done.code == -number and "Traceback" not in done.stderr:
        return
    verdict.hear(done)
    if done.code is not None and done.code >= 0 and done.code not in _DOCUMENTED:
        verdict.add("traceback", f"an exit code that the documentation does not name: {done}")
