"""Reads generated text: what people write, words of the command line, and the files of a run."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import input_shapes as shapes
from hypothesis import strategies as st
from input_examples import Examples

_KEYS = ["train.epochs", "train.learning_rate", "train.batch_size", "train.seed", "train.threads", "data.timing"]
_KEYS += [
    "data.lag_s",
    "data.crop",
    "data.downsample",
    "data.permutation",
    "split.protocol",
    "split.folds",
    "split.fold",
]
_KEYS += ["split.block_s", "split.gap_s", "split.seed", "model.name", "model.atlas", "align.method", "augment.mixup"]
_KEYS += ["split.outer", "split.training_runs", "plan.select", "plan.learning_curve", "plan.draws"]
_KEYS += ["plan.permutations", "plan.subjects", "plan.sweep", "plan", "resources.gpus_per_trial", "description", "x.y"]


def assignments(separator: str) -> st.SearchStrategy[str]:
    """Give words like `section.key=a,b`."""
    parts = st.lists(st.one_of(shapes.words, shapes.numbers.map(str)), max_size=3).map(separator.join)
    keys = st.one_of(st.sampled_from(_KEYS), st.sampled_from(_KEYS), shapes.words)
    return st.builds(lambda key, sign, value: f"{key}{sign}{value}", keys, st.sampled_from(["=", "=", "=", ""]), parts)


def lists_of_words() -> st.SearchStrategy[str]:
    """Give words like `a,b,c`."""
    known = st.sampled_from(["cnn3d", "linear", "1", "01", "2-3", "sub-01", "1e-3", "all"])
    pieces = st.one_of(known, shapes.words, shapes.numbers.map(str))
    return st.lists(pieces, max_size=4).map(",".join)


def shipped(name: str, folder: str = "") -> Path:
    """Return the path of a configuration that ships."""
    from deepemotion import config_files

    return config_files.find(name, folder)


def labels(examples: Examples, folder: Path) -> Callable[[Path], object]:
    """Read labels, and look some times up."""
    import numpy as np

    from deepemotion.labels.table import Labels

    return lambda path: Labels.read(path).at(np.arange(8.0))


def annotations(examples: Examples, folder: Path) -> Callable[[Path], object]:
    """Read an observer's events, and vote."""
    from deepemotion.dataset.description import Dataset
    from deepemotion.labels import annotations as raw
    from deepemotion.labels import consensus
    from deepemotion.labels.rules import Rule

    movie, own = Dataset.read(examples.raw / "dataset.yaml"), Rule.read(shipped("interval", "labels"))
    grid = consensus.TimeGrid.of_movie(movie, own)

    def read(path: Path) -> object:
        events = raw.read(path.parent, ["all"], own.class_of)
        return consensus.vote(consensus.labels_given(events, grid, own), own)

    return read


def dataset(examples: Examples, folder: Path) -> Callable[[Path], object]:
    """Read a description, and lay its movie out as labelling does."""
    from deepemotion.dataset.description import Dataset
    from deepemotion.labels import annotations as raw
    from deepemotion.labels import consensus
    from deepemotion.labels.rules import Rule

    own = Rule.read(shipped("interval", "labels"))
    events = raw.read(examples.raw / "annotations", ["all"], own.class_of)

    def read(path: Path) -> object:
        described = Dataset.read(path)
        counts = [described.volumes(segment) for segment in described.segments]
        return counts, consensus.labels_given(events, consensus.TimeGrid.of_movie(described, own), own)

    return read


def rule(examples: Examples, folder: Path) -> Callable[[Path], object]:
    """Read a rule, and label with it."""
    from deepemotion.dataset.description import Dataset
    from deepemotion.labels import annotations as raw
    from deepemotion.labels import consensus
    from deepemotion.labels.rules import Rule

    movie = Dataset.read(examples.raw / "dataset.yaml")

    def read(path: Path) -> object:
        own = Rule.read(path)
        events = raw.read(examples.raw / "annotations", own.observers, own.class_of)
        given = consensus.labels_given(events, consensus.TimeGrid.of_movie(movie, own), own)
        return consensus.vote(given, own)

    return read


def _plan(examples: Examples) -> Callable[[Any], object]:
    from launcher.planning import data_facts
    from launcher.planning.plan import make_plan

    place = examples.finished
    return lambda wanted: make_plan(wanted, data_facts.read(place.packed, place.labels, wanted)[0])


def experiment(examples: Examples, folder: Path) -> Callable[[Path], object]:
    """Read an experiment, and plan it."""
    from launcher.planning import experiment as reader

    plan = _plan(examples)
    return lambda path: plan(reader.read(path, [], {}, {}))


def cluster(examples: Examples, folder: Path) -> Callable[[Path], object]:
    """Read a cluster profile, and make what SLURM is asked for."""
    from launcher.slurm import cluster_profile

    def read(path: Path) -> object:
        profile = cluster_profile.read(str(path))
        return profile.parameters(), profile.setup_lines()

    return read


def set_option(examples: Examples, folder: Path) -> Callable[[str], object]:
    """Apply `--set`, and plan."""
    from launcher.planning import experiment as reader

    plan = _plan(examples)
    return lambda word: plan(reader.read(shipped("demo"), [word], {}, {}))


def sweep_option(examples: Examples, folder: Path) -> Callable[[str], object]:
    """Apply `--sweep`, and plan."""
    from launcher.planning import experiment as reader
    from launcher.planning import options

    plan = _plan(examples)
    return lambda word: plan(reader.read(shipped("demo"), [], {}, options.parse_sweeps([word], None, None)))


def lr_option(examples: Examples, folder: Path) -> Callable[[str], object]:
    """Apply `--lr`, and plan."""
    from launcher.planning import experiment as reader
    from launcher.planning import options

    plan = _plan(examples)
    return lambda word: plan(reader.read(shipped("demo"), [], {}, options.parse_sweeps([], None, word)))


def model_option(examples: Examples, folder: Path) -> Callable[[str], object]:
    """Apply `--model`, and plan."""
    from launcher.planning import experiment as reader
    from launcher.planning import options

    plan = _plan(examples)
    return lambda word: plan(reader.read(shipped("demo"), [], {}, options.parse_sweeps([], word, None)))


def subjects_option(examples: Examples, folder: Path) -> Callable[[str], object]:
    """Apply `--subjects`, and plan."""
    from launcher.planning import experiment as reader
    from launcher.planning import options

    plan = _plan(examples)
    return lambda word: plan(reader.read(shipped("demo"), [], options.parse_plan_subjects(word, ("01", "02")), {}))


def copy_of_run(examples: Examples, folder: Path) -> Path:
    """Return a copy of a run with one trial done, one failed and one planned."""
    run = folder / "r"
    shutil.copytree(examples.half.run, run)
    return run


def submission(run: Path) -> bytes:
    """Return the record of a submission to SLURM."""
    from launcher.run.directory import RunDirectory
    from launcher.slurm import submissions

    directory = RunDirectory(run)
    tasks = [[trial.name] for trial in directory.read_plan()]
    submissions.write(directory, submissions.Submission(1, "slurm-array", tasks, "devcluster", "0", jobs={"12": 0}))
    return (run / "slurm" / "submission-001.json").read_bytes()


def look_at(run: Path) -> object:
    """Look at a run as `status`, `results` and TensorBoard's aggregates do."""
    from launcher.monitoring import status
    from launcher.run.directory import RunDirectory
    from launcher.tables.tensorboard import write_aggregates
    from launcher.tables.trials import write_tables

    directory = RunDirectory(run)
    found = status.read(directory)
    write_aggregates(directory)
    return found, write_tables(directory)


def refresh(run: Path) -> object:
    """Refresh the aggregates as a launch does that is at work."""
    from launcher.run.directory import RunDirectory
    from launcher.tables.tensorboard import Board

    return Board(RunDirectory(run)).refresh()


def read_experiment(run: Path) -> object:
    """Read a run's experiment as sessions and reports do."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory(run)
    return directory.read_experiment(), directory.experiment_text()


def read_provenance(run: Path) -> object:
    """Read the launches, and add one."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory(run)
    directory.add_provenance({"host": "here"})
    return directory.read_provenance()


def read_sources(run: Path) -> object:
    """Read where the data lies."""
    from deepemotion.training.data_sources import Sources

    return Sources.read(run)


def read_trial(run: Path) -> object:
    """Train a trial that is done already, which checks whose it is."""
    from binary_inputs import trained_again

    return trained_again(run)
