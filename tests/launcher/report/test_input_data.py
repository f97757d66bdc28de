"""A report shows what packing found in the data of its run."""

from finished_run import make, planned

from deepemotion.training.data_sources import Sources
from launcher.report import input_data
from launcher.report.html import write_report


def test_a_row_for_each_subject_that_can_be_read(tmp_path, tiny_packed, tiny_labels):
    trials = [planned("one", "01"), planned("again", "01", split={"seed": 1}), planned("gone", "77")]
    run = make(tmp_path / "run", trials)
    Sources(tiny_packed, tiny_labels).write(run.path)
    data = input_data.read(run)
    assert data.rows[0][0] == "subject"
    assert [row[0] for row in data.rows[1:]] == ["01"]
    (note,) = data.notes
    assert note.startswith("sub-77 cannot be read any more")
    html = write_report(run).read_text()
    assert "<td>160 of 160</td>" in html
    assert "sub-77 cannot be read any more" in html


def test_a_run_whose_data_are_gone_has_a_report_all_the_same(tmp_path):
    run = make(tmp_path / "run", [planned("one", "01")])
    Sources(tmp_path / "gone", tmp_path / "gone.tsv").write(run.path)
    assert input_data.read(run).rows == []
    assert "sub-01 cannot be read any more" in write_report(run).read_text()
