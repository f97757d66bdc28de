"""Refits of a nested selection whose inner trials a later launch replaced: they no longer count, and it is said so."""

import pandas as pd
import pytest
from nested_run import launch, train_here

from deepemotion.labels.table import Labels
from launcher.checking.run import verify
from launcher.evidence.evidence import write_evidence
from launcher.evidence.result import NOTHING
from launcher.launching.launch import plan_run
from launcher.monitoring import status
from launcher.run import selection_notes
from launcher.run.replacements import replaced

SAYS = (
    "nested selection: {} earlier refits no longer count, since a later launch replaced the inner trials that chose"
    " their settings, and no others are planned yet"
)


@pytest.fixture
def relabelled(tiny_labels, tmp_path):
    """Other labels of the same film: the first emotion of the table has become the second."""
    path = tmp_path / "relabelled.tsv"
    text = tiny_labels.read_text()
    assert "ANGER" in text
    path.write_text(text.replace("FEAR", "TEMPORARY").replace("ANGER", "FEAR").replace("TEMPORARY", "ANGER"))
    assert Labels.read(path).checksum != Labels.read(tiny_labels).checksum
    return path


def states(run, names):
    shown = {one.trial.name: one for one in status.read(run)}
    tables = pd.read_csv(run.tables / "trials.csv").set_index("trial")["state"]
    return [(shown[name].state, tables[name]) for name in names]


def test_refits_count_until_their_inner_trials_are_replaced_and_again_when_these_are_back(
    tiny_packed, tiny_labels, relabelled, tmp_path
):
    words = (tmp_path / "r", tiny_packed)
    first = launch(*words, tiny_labels, subjects=["01", "02"])
    run = first.run
    train_here(run, plan_run(first))
    refits = plan_run(first)
    train_here(run, refits)
    names = [trial.name for trial in refits]
    assert len(names) == 2
    assert selection_notes.notes(run) == []
    result = write_evidence(run).result
    assert NOTHING not in result

    # New labels for one of the two subjects' models: the other's still count.
    later = launch(*words, relabelled, subjects=["01"])
    inner = plan_run(later)
    evidence = write_evidence(run)
    assert SAYS.format(1) in evidence.notes
    assert states(run, names) == [("replaced", "replaced"), ("done", "done")]
    assert replaced(run, run.read_plan())[names[0]] in {trial.name for trial in inner}
    scores = pd.read_csv(run.tables / "statistics.csv").set_index("training_set")
    assert "sub-01" not in scores.index
    assert scores.loc["sub-02", ["trials", "planned"]].tolist() == [1, 1]
    assert set(pd.read_parquet(run.tables / "predictions.parquet")["trial"]) == {names[1]}
    # The other subject's five trials have the former labels.
    (problem,) = verify(run).problems
    assert "relabelled.tsv: has changed since it was trained on; trials with other data: 5, " in problem

    # Once the new inner trials are done, their refit has the old one's place.
    train_here(run, inner)
    (successor,) = plan_run(later)
    assert SAYS.format(1) not in selection_notes.notes(run)
    assert states(run, names)[0][0] == "done"
    train_here(run, [successor])
    write_evidence(run)
    assert set(pd.read_csv(run.tables / "statistics.csv")["training_set"]) >= {"sub-01", "sub-02"}

    # With the old labels back, the old refit counts, and nothing is trained.
    assert plan_run(launch(*words, tiny_labels, subjects=["01", "02"])) == []
    assert write_evidence(run).result == result
    assert selection_notes.notes(run) == []


def test_where_nothing_counts_any_more_no_table_keeps_its_numbers(tiny_packed, tiny_labels, relabelled, tmp_path):
    first = launch(tmp_path / "r", tiny_packed, tiny_labels)
    run = first.run
    train_here(run, plan_run(first))
    train_here(run, plan_run(first))
    write_evidence(run)
    assert (run.tables / "statistics.csv").exists()
    plan_run(launch(tmp_path / "r", tiny_packed, relabelled))
    evidence = write_evidence(run)
    assert (evidence.result, evidence.tables) == ([NOTHING], [])
    assert SAYS.format(1) in evidence.notes
    assert not (run.tables / "statistics.csv").exists()
    assert verify(run).problems == []
