"""The table of everything that reads what people or disks may have spoiled. A parser is one entry."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import binary_inputs
import input_shapes as shapes
import numpy as np
import text_inputs
from hypothesis import strategies as st
from input_examples import Examples

Parse = Callable[[Any], object]
_SHOWN = 400


@dataclass(frozen=True)
class Ready:
    """What a target generates, and what reads it."""

    inputs: st.SearchStrategy[Any]
    parse: Parse
    example: object = None

    def show(self, value: object) -> str:
        """Return an input as a reader of a report wants it: what differs from the example."""
        return shapes.difference(self.example, value)[:_SHOWN]


@dataclass(frozen=True)
class Target:
    """A parser: `prepare` makes its inputs from the examples, in a folder of its own; `weight`: its share of inputs."""

    name: str
    prepare: Callable[[Examples, Path], Ready]
    weight: float = 1.0


def _file(make: Callable[[bytes], st.SearchStrategy[bytes]], pick: Callable[[Examples], Path], parse: Any) -> Any:
    """Return what prepares a target whose input is the content of one file.

    `pick` names the example; `parse` makes, from the examples and a folder, what reads a file of the example's name.
    """

    def prepare(examples: Examples, folder: Path) -> Ready:
        example = pick(examples)
        content = example.read_bytes()
        path = folder / example.name
        read = parse(examples, folder)

        def parsed(value: bytes) -> object:
            path.write_bytes(value)
            return read(path)

        return Ready(shapes.any_file(content, make(content)), parsed, content)

    return prepare


def _words(inputs: st.SearchStrategy[str], parse: Any) -> Any:
    """Return what prepares a target whose input is a word of the command line."""
    return lambda examples, folder: Ready(inputs, parse(examples, folder))


def _of_run(
    make: Callable[[bytes], st.SearchStrategy[bytes]],
    where: str,
    parse: Parse,
    missing: Callable[[Path], bytes] = text_inputs.submission,
) -> Any:
    """Return what prepares a target whose input is a file of a run; `{done}` and `{interrupted}` are trials' names.

    `missing` makes a file that the example does not have, and returns its content.
    """

    def prepare(examples: Examples, folder: Path) -> Ready:
        run = text_inputs.copy_of_run(examples, folder)
        path = run / where.format(done=examples.done, interrupted=examples.interrupted)
        content = path.read_bytes() if path.exists() else missing(run)

        def parsed(value: bytes) -> object:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(value)
            return parse(run)

        return Ready(shapes.any_file(content, make(content)), parsed, content)

    return prepare


def _selections(run: Path) -> bytes:
    """Return the record of a nested selection."""
    from launcher.planning.facts import DataFacts, SubjectFacts
    from launcher.run import selections
    from launcher.run.directory import RunDirectory

    directory = RunDirectory(run)
    experiment = directory.read_experiment()
    plan = experiment.plan.model_copy(update={"select": "nested"})
    split = experiment.split.model_copy(update={"protocol": "run"})
    subject = SubjectFacts("checksum", (12, 14, 10), (12, 14, 10), 1000, 160, tuple(range(1, 9)))
    nested = experiment.model_copy(update={"plan": plan, "split": split})
    selections.record(directory, nested, DataFacts({"01": subject}, "labels", 0.5, 5))
    return (run / "selections.json").read_bytes()


def _look_at_selections(run: Path) -> object:
    """Look at a run's refits as `status` and sessions do."""
    from launcher.run import selection_notes, selections
    from launcher.run.directory import RunDirectory

    return selection_notes.notes(RunDirectory(run)), selections.due(RunDirectory(run))


def _between_brains(run: Path) -> bytes:
    """Return the ceiling between two brains."""
    from deepemotion.scoring.between_brains import BetweenBrains

    runs = ((i, np.random.default_rng(i).standard_normal((2, 3, 10)), np.ones(2)) for i in (1, 2, 3))
    path = run / "between_brains.tsv"
    BetweenBrains.of("srm", ["01", "02"], runs).write(path)
    return path.read_bytes()


def _read_between_brains(run: Path) -> object:
    from deepemotion.scoring.between_brains import BetweenBrains

    return BetweenBrains.read(run / "between_brains.tsv").in_words()


_json, _yaml, _table, _bytes = shapes.json_files, shapes.yaml_files, shapes.tables, shapes.byte_strings


def _csv(content: bytes) -> st.SearchStrategy[bytes]:
    return shapes.tables(content, ",")


def _control_example(control: str, ending: str = "") -> Callable[[Examples], Path]:
    """Return what finds the file of a control of subject 01's first run; `ending` replaces that of its name."""

    def find(examples: Examples) -> Path:
        from deepemotion.dataset.description import Dataset

        source = next(one for one in Dataset.of_folder(examples.raw).controls if one.control == control)
        path = examples.raw / source.file.format(subject="01", run=1)
        return path.with_name(path.name.partition(".")[0] + ending) if ending else path

    return find


def _control_source(control: str, kind: str) -> Callable[[Examples, Path], Parse]:
    """Return what makes, of an example of a control, what reads the same file with other content."""

    def prepare(examples: Examples, folder: Path) -> Parse:
        from deepemotion.dataset.control_sources import ControlSource
        from deepemotion.packing.control_readers import ControlRuns, read_series

        recording = _control_example("physio")(examples)
        shutil.copy(recording, folder)
        volumes = len(_control_example("motion")(examples).read_text().splitlines())

        def read(path: Path) -> object:
            is_sidecar = path.suffix == ".json"
            files = {1: folder / recording.name if is_sidecar else path}
            described = ControlSource(control=control, kind=kind, file="{run}")
            runs = ControlRuns(described, 2.0, files, {1: [path]}, {1: volumes}, {1: 2.0 * volumes})
            series, notes = read_series(runs)
            assert not np.isinf(series.values).any()
            return series.columns, notes

        return read

    return prepare


def _control_file(examples: Examples, folder: Path) -> Parse:
    """Read all series of a packed file."""
    from deepemotion.subject_file.control_file import ControlFile

    def read(path: Path) -> object:
        with ControlFile(path) as file:
            return [len(file.series(control)) for control in file.header.controls]

    return read


TARGETS: list[Target] = [
    # What people write.
    Target("labels.tsv", _file(_table, lambda e: e.finished.labels, text_inputs.labels), 2),
    Target("annotations", _file(_csv, lambda e: sorted(e.raw.rglob("*.csv"))[0], text_inputs.annotations), 2),
    Target("dataset description", _file(_yaml, lambda e: e.raw / "dataset.yaml", text_inputs.dataset), 2),
    Target("label rule", _file(_yaml, lambda e: text_inputs.shipped("interval", "labels"), text_inputs.rule), 2),
    Target("experiment", _file(_yaml, lambda e: text_inputs.shipped("demo"), text_inputs.experiment), 2),
    Target(
        "cluster profile", _file(_yaml, lambda e: text_inputs.shipped("example", "clusters"), text_inputs.cluster), 2
    ),
    Target("--set", _words(text_inputs.assignments(","), text_inputs.set_option), 2),
    Target("--sweep", _words(text_inputs.assignments(","), text_inputs.sweep_option), 2),
    Target("--lr", _words(text_inputs.lists_of_words(), text_inputs.lr_option)),
    Target("--model", _words(text_inputs.lists_of_words(), text_inputs.model_option)),
    Target("--subjects", _words(text_inputs.lists_of_words(), text_inputs.subjects_option)),
    # What scanners and other programs write.
    Target("NIfTI header", binary_inputs.nifti_fields, 2),
    Target("NIfTI bytes", binary_inputs.nifti_bytes),
    Target("motion parameters", _file(_table, _control_example("motion"), _control_source("motion", "motion"))),
    Target("events", _file(_table, _control_example("stimulus"), _control_source("stimulus", "events"))),
    Target("recording", _file(_json, _control_example("physio", ".json"), _control_source("physio", "physio"))),
    # What this program wrote.
    Target("subject file, structure", binary_inputs.subject_structure, 1.5),
    Target("subject file, bytes", binary_inputs.subject_bytes, 1.5),
    Target("control file, bytes", _file(_bytes, lambda e: e.finished.packed / "controls_sub-01.h5", _control_file)),
    Target("checkpoint, structure", binary_inputs.checkpoint_structure, 0.7),
    Target("checkpoint, bytes", binary_inputs.checkpoint_bytes, 0.7),
    Target("plan.tsv", _of_run(_table, "plan.tsv", text_inputs.look_at)),
    Target("experiment.yaml of a run", _of_run(_yaml, "experiment.yaml", text_inputs.read_experiment)),
    Target("provenance.json", _of_run(_json, "provenance.json", text_inputs.read_provenance)),
    Target("sources.json", _of_run(_json, "sources.json", text_inputs.read_sources)),
    Target("selections.json", _of_run(_json, "selections.json", _look_at_selections, _selections)),
    Target("between_brains.tsv", _of_run(_table, "between_brains.tsv", _read_between_brains, _between_brains)),
    Target("session record", _of_run(_json, "sessions/session-001.json", text_inputs.look_at)),
    Target("submission record", _of_run(_json, "slurm/submission-001.json", text_inputs.look_at)),
    Target(".aggregates", _of_run(_bytes, ".aggregates", text_inputs.refresh), 0.5),
    Target("trial.json", _of_run(_json, "trials/{done}/trial.json", text_inputs.read_trial)),
    Target("result.json", _of_run(_json, "trials/{done}/result.json", text_inputs.look_at)),
    Target("epochs.tsv", _of_run(_table, "trials/{done}/epochs.tsv", text_inputs.look_at)),
    Target("epochs.tsv, interrupted", _of_run(_table, "trials/{interrupted}/epochs.tsv", text_inputs.look_at)),
    Target("failure.json", _of_run(_json, "trials/{interrupted}/failure.json", text_inputs.look_at)),
    Target("predictions.parquet", _of_run(_bytes, "trials/{done}/predictions.parquet", text_inputs.look_at)),
]
