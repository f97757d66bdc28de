"""A small study on a devcluster: its data, launches into it, and what has to be true of every finished run."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pandas as pd
import yaml

from deepemotion.files import write_text
from deepemotion.training.trial_directory import TrialDirectory
from launcher.run.directory import RunDirectory

PROGRAMS = Path(sys.executable).parent
LAUNCH = PROGRAMS / "deepemotion-launch"
NODES = ("node1", "node2", "node3")
# Of a node, so that two jobs share it.
HALF = {"cpus_per_node": 4, "gpus_per_node": 1, "memory_gb": 2.5}
# Epochs of trials that nobody disturbs.
QUICK = 6
LINEAR = ("--set", "model.name=linear")
# The subjects of runs that are disturbed, and the trials they make with the pooled one: each node has several.
FEW, FEW_TRIALS = "1-8", 9
_DEADLINE_S = 900
# An epoch syncs four times.
_BRISK_SYNC_S = 0.05
_SLOW_SYNC_S = 0.5


class Study:
    """19 simulated subjects, packed and labelled, in a folder that all nodes of a cluster see."""

    def __init__(self, cluster, folder: Path):
        self.cluster = cluster
        self.folder = folder

    def words(self, name: str, epochs: int, *more: object) -> list[object]:
        """Return the words of a launch of the demo's 19 + 1 trials into the run `name`."""
        where = ["--data", self.folder / "packed", "--labels", self.folder / "labels.tsv"]
        settings = ["--set", "data.drop_overlaps=false", "--set", f"train.epochs={epochs}"]
        return [*where, "--config", "demo", "--runs", self.folder / "runs", "--name", name, *settings, *more]

    def launch(self, name: str, epochs: int, *more: object, subjects: str | None = None, **options: object):
        """Launch from the login node and return the finished process."""
        which = ["--all-subjects"] if subjects is None else ["--subjects", subjects]
        return self.cluster.run(LAUNCH, *which, *self.words(name, epochs, *more), timeout=_DEADLINE_S, **options)

    def ask(self, command: str, name: str, *more: object):
        """Run status, logs, cancel, retry or results on a run, from the login node."""
        return self.cluster.run(LAUNCH, command, self.run(name).path, *more, timeout=_DEADLINE_S)

    def run(self, name: str) -> RunDirectory:
        return RunDirectory(self.folder / "runs" / name)

    def profile(self, name: str, **keys: object) -> Path:
        """Write a cluster profile: three nodes of two GPUs, with these keys changed."""
        content = {"partition": "main", "time": 60, "nodes": 3, "cpus_per_node": 8, "gpus_per_node": 2, "memory_gb": 5}
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump({**content, **keys}))
        return path

    def by_ray(self, name: str, **keys: object) -> list[object]:
        """Return the words of a launch with Ray over half of each node."""
        return ["--on", "slurm", "--cluster", self.profile(name, **HALF | keys)]

    def by_array(self, name: str, trials_per_task: int, **keys: object) -> list[object]:
        """Return the words of a launch by an array whose tasks take half of a node."""
        profile = self.profile(name, **HALF | {"nodes": 1} | keys)
        return ["--on", "slurm-array", "--trials-per-task", trials_per_task, "--cluster", profile]

    def both_ways(self, stem: str, trials_per_task: int, **keys: object) -> dict[str, list[object]]:
        """Return the names of two runs that together fill the cluster, by Ray and by an array, and their words."""
        by_ray, by_array = f"{stem}-ray", f"{stem}-array"
        return {by_ray: self.by_ray(by_ray, **keys), by_array: self.by_array(by_array, trials_per_task, **keys)}

    def submit(self, name: str, epochs: int, *more: object, **options: object) -> subprocess.CompletedProcess[str]:
        """Launch without waiting for the jobs."""
        submitted = self.launch(name, epochs, *more, "--detach", **options)
        assert submitted.returncode == 0, submitted.stderr
        return submitted

    def submit_slowly(
        self, name: str, epochs: int, *more: object, subjects: str = FEW
    ) -> subprocess.CompletedProcess[str]:
        """Launch trials of the linear model on a disk that takes them 0.2 s an epoch, until that is changed."""
        slow = self.slow_environment(name, _BRISK_SYNC_S)
        return self.submit(name, epochs, *more, *LINEAR, subjects=subjects, env=slow)

    def slow_environment(self, name: str, sync_s: float = _SLOW_SYNC_S) -> dict[str, str]:
        """Return the environment to launch from, so that the disk takes a run's trials 4 `sync_s` an epoch."""
        slow = {"PYTHONPATH": str(Path(__file__).parent / "slow_disk"), "SYNC_SECONDS": str(self._sync_seconds(name))}
        self._let_syncs_take(name, sync_s)
        return {**os.environ, **slow}

    def slow_down_amid(self, *names: str) -> None:
        """Wait until each run has a trial that is done and one amid its epochs; from then on it takes 2 s an epoch.

        So it is still at work when it is disturbed, however late that is.
        """
        coming = set(names)

        def amid() -> bool:
            for name in sorted(coming):
                done = self.results(name)
                if done and any(epochs for trial, epochs in self.epochs(name).items() if trial not in done):
                    self._let_syncs_take(name, _SLOW_SYNC_S)
                    coming.remove(name)
            return not coming

        wait_for(amid, f"{', '.join(names)}: amid their epochs", lambda: "\n".join(map(self.logs, names)))

    def speed_up(self, *names: str) -> None:
        """Let runs no longer wait for their disk."""
        for name in names:
            self._let_syncs_take(name, 0)

    def _sync_seconds(self, name: str) -> Path:
        return self.folder / f"{name}.sync"

    def _let_syncs_take(self, name: str, seconds: float) -> None:
        write_text(self._sync_seconds(name), str(seconds))

    def wait_until_done(self, name: str, trials: int = 20) -> None:
        """Wait until no job of the user is in the queue, and require that all trials of the run are done."""
        wait_for(lambda: not self.queue("%i"), f"{name}: an empty queue")
        states = {trial.name: self.run(name).state(trial.name, running=()) for trial in self.run(name).read_plan()}
        assert set(states.values()) == {"done"}, (states, self.logs(name), self.failures(name))
        assert len(states) == trials

    def queue(self, fields: str) -> str:
        """Return squeue's words on the jobs that have not ended."""
        return self.cluster.output("squeue", "--noheader", f"--format={fields}")

    def logs(self, name: str) -> str:
        return "\n".join(f"== {log.name}\n{log.read_text()}" for log in sorted(self.run(name).slurm.glob("*.log")))

    def failures(self, name: str) -> list[str]:
        """Return what the logs of failed trials say."""
        return [path.with_name("log.txt").read_text() for path in self.run(name).path.glob("trials/*/failure.json")]

    def epochs(self, name: str) -> dict[str, int]:
        """Return how many epochs each trial has behind it."""
        trials = (self.run(name).path / "trials").glob("*/epochs.tsv")
        return {path.parent.name: len(TrialDirectory(path.parent).read_epochs()) for path in trials}

    def hosts(self, name: str) -> set[str]:
        """Return the nodes on which trials have begun."""
        logs = (self.run(name).path / "trials").glob("*/log.txt")
        return {host for log in logs for host in re.findall(r"host (\S+), GPUs", log.read_text())}

    def results(self, name: str) -> dict[str, int]:
        """Return when the result of each trial that is done was written (ns)."""
        trials = (self.run(name).path / "trials").glob("*/result.json")
        return {path.parent.name: path.stat().st_mtime_ns for path in trials}

    def assert_kept(self, name: str, before: dict[str, int]) -> None:
        """Require that the results that were there before have not been written again."""
        after = self.results(name)
        assert {trial: after[trial] for trial in before} == before

    def wait_for_epochs(self, name: str, epochs: int) -> None:
        """Wait until some trial has passed `epochs` epochs."""
        wait_for(
            lambda: max(self.epochs(name).values(), default=0) >= epochs, f"{name}: epochs", lambda: self.logs(name)
        )


def make_data(folder: Path) -> None:
    """Simulate, label and pack a study's data in a folder."""
    dataset = folder / "dataset"
    simulate = ["simulate", dataset, "--shape", "12,14,10", "--volumes-per-run", "20", "--signal", "5"]
    where = ["--annotations", dataset / "annotations", "--dataset", dataset / "dataset.yaml"]
    label = ["label", *where, "--rule", "interval", "--observers", "av", "--out", folder / "labels.tsv"]
    for words in (simulate, label, ["pack", dataset, "--out", folder / "packed"]):
        subprocess.run([PROGRAMS / "deepemotion", *map(str, words)], check=True, capture_output=True)


def make_study(cluster, data: Path) -> Study:
    """Copy a study's data into a new folder of the cluster."""
    folder = Path(tempfile.mkdtemp(prefix="study-", dir=cluster.shared))
    folder.chmod(0o755)
    shutil.copytree(data, folder, dirs_exist_ok=True, copy_function=shutil.copy)
    folder.chmod(0o755)
    return Study(cluster, folder)


def wait_for(condition: Callable[[], bool], what: str, tell: Callable[[], str] = str) -> None:
    """Wait for a condition, with a deadline that only a hanging system reaches."""
    deadline = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}\n{tell()}"
        time.sleep(0.5)


def assert_curves_are_whole(run: RunDirectory, epochs: int) -> None:
    """Require that every trial's epochs are 1, 2, ... without a gap or a duplicate."""
    for trial in run.read_plan():
        found = [row["epoch"] for row in run.trial(trial.name).read_epochs()]
        assert found == list(range(1, epochs + 1)), (trial.name, found)


def assert_equal_results(one: RunDirectory, other: RunDirectory) -> None:
    """Require that two runs' trials have the same metrics at every epoch and the same predictions."""
    plan = one.read_plan()
    assert [trial.name for trial in plan] == [trial.name for trial in other.read_plan()]
    for trial in plan:
        a, b = one.trial(trial.name), other.trial(trial.name)
        curves = [[{**row, "time/epoch": 0.0} for row in directory.read_epochs()] for directory in (a, b)]
        assert curves[0] == curves[1], trial.name
        pd.testing.assert_frame_equal(pd.read_parquet(a.predictions), pd.read_parquet(b.predictions))


def assert_devices_were_never_shared(*runs: RunDirectory) -> None:
    """Require that no two attempts at trials of any of these runs held one GPU of one host at the same time."""
    held: dict[tuple[str, str], list[tuple[datetime, datetime, str]]] = {}
    for run, trial in ((one, trial) for one in runs for trial in one.read_plan()):
        lines = run.trial(trial.name).log_file.read_text().splitlines()
        begins = [line for line in lines if re.search(r" (started|resumed after epoch \d+) on ", line)]
        begin = begins[-1]
        host, gpu = re.search(r"host (\S+), GPUs (\S+),", begin).groups()
        assert gpu != "none", begin
        end = next(line for line in reversed(lines) if " done: " in line)
        held.setdefault((host, gpu), []).append((_time(begin), _time(end), trial.name))
    assert len({host for host, _ in held}) > 1, "one node did it all"
    for spans in held.values():
        for (_, end, first), (begin, _, second) in itertools.pairwise(sorted(spans)):
            assert end <= begin, (first, second)


def assert_nothing_stayed(cluster, nodes: tuple[str, ...] = NODES) -> None:
    """Require that no node has a process or folder of Ray."""
    for node in nodes:
        found = cluster.run(
            "sh", "-c", "ls -d /tmp/de-ray-* /tmp/ray; ps -eo args | grep '[r]ay/\\|[r]ay::'", node=node
        )
        assert not found.stdout, (node, found.stdout)


def _time(line: str) -> datetime:
    return datetime.fromisoformat(line.split()[0])
