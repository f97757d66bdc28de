"""The evidence of a run as plain values, for programs."""

from typing import Any

import pandas as pd

from launcher.evidence.evidence import Evidence


def numbers(evidence: Evidence) -> dict[str, Any]:
    """Return every number of a run's evidence, a list of rows for each table; what is not known is None.

    `scores`, `controls`, `against_controls`, `paired` and `comparisons` have the columns of the tables of these names
    (scores: statistics.csv), `sentences` is what `results` prints below its tables.
    """
    findings = evidence.findings
    failed = evidence.trials.failed.table
    return {
        "states": evidence.trials.states,
        "scores": rows(findings.scores),
        "controls": rows(findings.controls),
        "against_controls": rows(findings.compared),
        "paired": rows(findings.paired),
        "comparisons": rows(evidence.declared),
        "sentences": {name: getattr(evidence, name) for name in ("result", "controls", "pairs", "curves", "notes")},
        "failed": [] if failed.empty else rows(failed[["trial", "reason"]]),
    }


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table as plain values, None where one is missing."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]
