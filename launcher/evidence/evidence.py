"""Turns a run's folder into the evidence that `results` prints and the report shows."""

from dataclasses import dataclass, field

import pandas as pd

from launcher.evidence import text_tables
from launcher.evidence.ceiling import between_brains_note
from launcher.evidence.comparisons import write_comparisons
from launcher.evidence.findings import Findings, compute_findings, remove_findings, tested, write_findings
from launcher.evidence.learning_curves import write_curves
from launcher.evidence.result import result_sentences
from launcher.evidence.text_tables import TextTable
from launcher.run import selection_notes
from launcher.run.directory import RunDirectory
from launcher.tables.held_out import read_held_out
from launcher.tables.hparams import Tested
from launcher.tables.selection import Trials
from launcher.tables.trials import write_tables


@dataclass(frozen=True)
class Evidence:
    """A run's trials, its result in words, its tables as text, and the sentences below these.

    The sentences are on controls, on pairs of models, on learning curves, and then notes. `findings` are the numbers
    behind all of these, `declared` those of declared comparisons (`comparison_table`), and `tested` is what TensorBoard
    shows of them.
    """

    trials: Trials
    result: list[str]
    tables: list[TextTable]
    controls: list[str]
    pairs: list[str]
    curves: list[str]
    notes: list[str]
    findings: Findings
    tested: Tested
    declared: pd.DataFrame = field(default_factory=pd.DataFrame)


def write_evidence(run: RunDirectory) -> Evidence:
    """Bring everything in the run's tables/ up to date, and return what it shows.

    Raises UserError for a trial's file, or an experiment, that cannot be read.
    """
    trials = write_tables(run)
    findings = Findings(trials)
    declared, compared, curves = pd.DataFrame(), list[str](), list[str]()
    predictions = run.tables / "predictions.parquet"
    if predictions.exists():
        findings = compute_findings(trials, read_held_out(predictions, trials))
        write_findings(run, findings)
        declared, compared = write_comparisons(run, trials)
        curves = write_curves(run, trials)
    else:
        remove_findings(run)
    return Evidence(
        trials=trials,
        result=result_sentences(findings),
        tables=text_tables.tables(findings),
        controls=findings.on_controls,
        pairs=[*compared, *text_tables.pairs(findings.paired)],
        curves=curves,
        notes=[*findings.notes, *between_brains_note(run), *selection_notes.notes(run)],
        findings=findings,
        tested=tested(findings.scores),
        declared=declared,
    )
