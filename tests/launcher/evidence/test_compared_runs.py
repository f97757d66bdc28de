"""Several runs beside each other, and what is said about comparing them."""

import json

import finished_run
import pytest

from launcher.evidence.compared_runs import compare

SUBJECTS = ("01", "02")


@pytest.fixture
def make(tmp_path):
    """Return a function that makes a finished run of two subjects, and records its launch."""

    def make(name, labels="sha256:aaaa", packed="sha256:1", subjects=SUBJECTS, **settings):
        trials = [finished_run.planned(f"t{subject}", subject, **settings) for subject in subjects]
        run = finished_run.make(tmp_path / name, trials)
        run.add_provenance({"labels_checksum": labels, "subject_checksums": dict.fromkeys(subjects, packed)})
        return run

    return make


def test_runs_of_the_same_data_and_labels_are_comparable(make, in_process):
    first, second = make("first"), make("second", model={"name": "linear"})
    code, out, err = in_process("deepemotion-launch", "compare", first.path, second.path)
    assert (code, err) == (0, "")
    *_, legend, verdict = out.splitlines()
    assert legend.startswith("† does not exceed what labels alone")
    assert verdict.startswith("comparable within a protocol")
    rows = [line.split("│")[1:3] for line in out.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [["first", "lr-0.001"], ["second", "lr-0.001"]]
    code, out, err = in_process("deepemotion-launch", "compare", first.path, second.path, "--json")
    assert (code, err) == (0, "")
    content = json.loads(out)
    assert (content["comparable"], content["differences"]) == (True, [])
    assert [run["run"] for run in content["runs"]] == ["first", "second"]
    assert content["runs"][0]["scores"][0]["accuracy"] == 0.5
    assert content["runs"][0]["subjects"] == ["01", "02"]


def test_the_report_of_several_runs_has_their_conditions_and_what_differs(make, in_process, tmp_path):
    first, second = make("a <b>"), make("c", labels="sha256:bbbb")
    report = tmp_path / "out" / "compared.html"
    code, _, err = in_process("deepemotion-launch", "compare", first.path, second.path, "--report", report)
    assert (code, err) == (0, f"report: {report}\n")
    html = report.read_text()
    assert "labels differ: a &lt;b&gt;: aaaa; c: bbbb" in html
    assert html.count('<td class="text">lr-0.001</td>') == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": "sha256:bbbb"}, "labels differ: a: aaaa; b: bbbb"),
        ({"labels": None}, "labels differ: a: aaaa; b: unknown"),
        ({"packed": "sha256:2"}, "packed data differ for 2 subjects: 01, 02"),
        ({"subjects": ("01",)}, "subjects differ: a: 2 (01, 02); b: 1 (01)"),
        ({"data": {"lag_s": 2}}, "random: the settings of data or split differ"),
    ],
)
def test_what_keeps_runs_from_being_compared_is_said(make, changes, said):
    first, second = make("a"), make("b", **changes)
    (sentence,) = compare([first, second]).differences
    assert sentence.startswith(said)


def test_runs_of_one_name_are_told_apart_by_their_folders(make):
    first, second = make("x/same"), make("y/same")
    compared = compare([first, second])
    assert [run.name for run in compared.runs] == [str(first.path), str(second.path)]
    assert {row[0] for row in compared.table.rows} == {str(first.path), str(second.path)}


def test_one_run_cannot_be_compared_with_itself(make, in_process):
    run = make("a")
    for words in ([run.path], [run.path, run.path]):
        assert in_process("deepemotion-launch", "compare", *words) == (
            2,
            "",
            "error: give two or more different runs\n",
        )
