"""Results of a run whose folder cannot be written."""

from launcher.run.directory import RunDirectory
from launcher.run.read_only import with_writable_results


def test_results_of_a_run_that_can_be_written_stay_in_it(tmp_path, capsys):
    run = RunDirectory(tmp_path / "run")
    assert with_writable_results(run) is run
    assert capsys.readouterr().err == ""
    assert list(run.tables.iterdir()) == []


def test_results_of_a_run_that_cannot_be_written_go_elsewhere_and_it_is_said(tmp_path, capsys):
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    # A file in the folder's place, since root may write anywhere else.
    run.tables.write_text("")
    reader = with_writable_results(run)
    assert reader.path == run.path
    assert run.path not in (reader.tables.parent, reader.report.parent)
    reader.tables.mkdir()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "cannot write" in said
    assert str(reader.report.parent) in said
