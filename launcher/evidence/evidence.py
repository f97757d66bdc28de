"""Turns a run's folder into the evidence that `results` prints and the report shows."""

from dataclasses import dataclass, field

import pandas as pd

from launcher.evidence import text_tables
from launcher.evidence.comparisons import write_comparisons
from launcher.evidence.findings import Findings, compute_findings, write_findings
from launcher.evidence.text_tables import TextTable
from launcher.run import selections
from launcher.run.directory import RunDirectory
from launcher.tables.held_out import read_held_out
from launcher.tables.selection import Trials
from launcher.tables.trials import write_tables


@dataclass(frozen=True)
class Evidence:
    """A run's trials, its tables as text, and the sentences below them: on controls, pairs of models, then notes.

    `findings` are the numbers behind all of these, `declared` those of declared comparisons (`comparison_table`).
    """

    trials: Trials
    tables: list[TextTable]
    controls: list[str]
    pairs: list[str]
    notes: list[str]
    findings: Findings
    declared: pd.DataFrame = field(default_factory=pd.DataFrame)


def write_evidence(run: RunDirectory) -> Evidence:
    """Bring everything in the run's tables/ up to date, and return what it shows.

    Raises UserError for a trial's file, or an experiment, that cannot be read.
    """
    trials = write_tables(run)
    findings = Findings(trials)
    declared, compared = pd.DataFrame(), list[str]()
    predictions = run.tables / "predictions.parquet"
    if predictions.exists():
        findings = compute_findings(trials, read_held_out(predictions, trials))
        write_findings(run, findings)
        declared, compared = write_comparisons(run, trials)
    pairs, notes = [*compared, *text_tables.pairs(findings.paired)], [*findings.notes, *selections.notes(run)]
    return Evidence(trials, text_tables.tables(findings), findings.on_controls, pairs, notes, findings, declared)
