"""Several runs beside each other: their conditions in one table, and whether their accuracies can be compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from launcher.evidence.evidence import write_evidence
from launcher.evidence.findings import MARKS
from launcher.evidence.numbers import rows
from launcher.evidence.text_tables import TextTable, conditions_of_runs
from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory
from launcher.run.read_only import with_writable_results
from launcher.run.replacements import replaced

# A checksum's first digits tell two apart.
_DIGITS = 12


@dataclass(frozen=True)
class ComparedRun:
    """What decides whether a run can be compared with others, and its scores (`statistics.score_table`).

    `labels` is the checksum of the labels of its last launch and `data` that of each subject's packed file, None and
    empty where the launch was not recorded. `plan` are the trials of the brain that no later launch replaced; `notes`
    the sentences that belong to the scores.
    """

    name: str
    labels: str | None
    data: dict[str, str]
    plan: list[PlannedTrial]
    scores: pd.DataFrame
    notes: list[str]

    @classmethod
    def read(cls, run: RunDirectory, name: str) -> "ComparedRun":
        """Read a run under a name, and bring its tables up to date. Raises UserError for a file that is damaged."""
        launches, plan = run.read_provenance(), run.read_plan()
        last, dead = launches[-1] if launches else {}, replaced(run, plan)
        counting = [trial for trial in plan if trial.name not in dead and not trial.control and trial.point is None]
        evidence = write_evidence(with_writable_results(run))
        data = dict(last.get("subject_checksums") or {})
        return cls(name, last.get("labels_checksum"), data, counting, evidence.findings.scores, evidence.notes)

    @property
    def subjects(self) -> list[str]:
        """All subjects of its trials."""
        return sorted({subject for trial in self.plan for subject in trial.subjects})

    @property
    def protocols(self) -> list[str]:
        """The protocols of its trials."""
        return sorted({trial.protocol for trial in self.plan})

    def bases(self, protocol: str) -> list[str]:
        """Return the settings that decide the volumes, labels and split under a protocol, each as a hash."""
        return sorted({trial.basis for trial in self.plan if trial.protocol == protocol})


@dataclass(frozen=True)
class Comparison:
    """Runs beside each other. `differences` are what keeps their accuracies from being compared, a sentence each."""

    runs: list[ComparedRun]
    differences: list[str]

    @property
    def table(self) -> TextTable:
        """The conditions of all runs."""
        return conditions_of_runs({run.name: run.scores for run in self.runs})

    @property
    def verdict(self) -> str:
        """Whether accuracies of these runs can be compared."""
        if self.differences:
            return "the accuracies of these runs are not comparable without reservation:"
        return (
            "comparable within a protocol: labels, packed data, subjects and the settings of data and split are equal"
        )

    @property
    def legend(self) -> list[str]:
        """What the marks in the table mean."""
        shown = {mark for row in self.table.rows for cell in row for mark in MARKS if mark in cell}
        return list(dict.fromkeys(note for run in self.runs for note in run.notes if note[:1] in shown))

    def numbers(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "comparable": not self.differences,
            "differences": self.differences,
            "runs": [
                {
                    "run": run.name,
                    "labels_checksum": run.labels,
                    "subject_checksums": run.data,
                    "subjects": run.subjects,
                    "protocols": run.protocols,
                    "scores": rows(run.scores),
                }
                for run in self.runs
            ],
        }


def compare(runs: Sequence[RunDirectory]) -> Comparison:
    """Read runs and compare them. Raises UserError for a file that is damaged."""
    alone = len({run.path.name for run in runs}) == len(runs)
    read = [ComparedRun.read(run, run.path.name if alone else str(run.path)) for run in runs]
    return Comparison(read, _differences(read))


def _differences(runs: Sequence[ComparedRun]) -> list[str]:
    found = [
        _differing("labels", runs, lambda run: "unknown" if run.labels is None else _short(run.labels)),
        _of_data(runs),
        _differing("subjects", runs, lambda run: _counted(run.subjects)),
        _differing("protocols", runs, lambda run: ", ".join(run.protocols) or "none"),
    ]
    shared = set.intersection(*(set(run.protocols) for run in runs))
    for protocol in sorted(shared):
        bases = {tuple(run.bases(protocol)) for run in runs}
        if len(bases) > 1:
            found.append(f"{protocol}: the settings of data or split differ, and so do the volumes that are tested")
    return [sentence for sentence in found if sentence]


def _differing(what: str, runs: Sequence[ComparedRun], value: Callable[[ComparedRun], str]) -> str:
    """Return what each run has where they differ, "" where all have the same."""
    values: dict[str, list[str]] = {}
    for run in runs:
        values.setdefault(value(run), []).append(run.name)
    if len(values) == 1:
        return ""
    return f"{what} differ: " + "; ".join(f"{', '.join(names)}: {value}" for value, names in values.items())


def _of_data(runs: Sequence[ComparedRun]) -> str:
    """Return a sentence on the subjects whose packed files differ between runs, "" where there is none."""
    known: dict[str, set[str]] = {}
    for run in runs:
        for subject in set(run.subjects) & set(run.data):
            known.setdefault(subject, set()).add(run.data[subject])
    changed = sorted(subject for subject, checksums in known.items() if len(checksums) > 1)
    return f"packed data differ for {len(changed)} subjects: {', '.join(changed)}" if changed else ""


def _short(checksum: str) -> str:
    return checksum.removeprefix("sha256:")[:_DIGITS]


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} ({', '.join(names)})"
