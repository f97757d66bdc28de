"""`make audit`, against an index on this machine."""

import importlib.util
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("audit", Path(__file__).parents[1] / "tools" / "audit.py")
audit = importlib.util.module_from_spec(spec)
spec.loader.exec_module(audit)

KNOWN = {
    "/safe/1.0/json": {"vulnerabilities": []},
    "/old/2.0/json": {
        "vulnerabilities": [
            {"id": "PYSEC-1", "summary": "Reads files of others", "fixed_in": ["2.1"]},
            {"id": "PYSEC-2", "summary": "Was a mistake", "withdrawn": "2026-01-01"},
        ]
    },
}


@pytest.fixture
def index():
    """Return the address of an index that knows two releases."""

    class Index(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path in KNOWN else 404)
            self.end_headers()
            self.wfile.write(json.dumps(KNOWN.get(self.path, {})).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def constraints(tmp_path):
    path = tmp_path / "constraints.txt"
    path.write_text("# tested together\nsafe==1.0\nold==2.0  # why\nown==3.0; python_version > '3'\n")
    return path


def test_known_advisories_fail_the_audit_and_are_named(constraints, index, capsys):
    assert audit.main(constraints, index) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "old 2.0: PYSEC-1: Reads files of others (fixed in 2.1)"
    assert lines[1] == "not on PyPI, so not checked: own 3.0"
    assert lines[2] == "2 of 3 versions checked, 1 with known advisories"


def test_without_advisories_the_audit_passes(constraints, index, capsys):
    constraints.write_text("safe==1.0\n")
    assert audit.main(constraints, index) == 0
    assert capsys.readouterr().out == "1 of 1 versions checked, 0 with known advisories\n"


def test_an_index_that_cannot_be_reached_is_reported_and_is_no_failure(constraints, capsys):
    assert audit.main(constraints, "http://127.0.0.1:9") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("not checked: http://127.0.0.1:9 cannot be reached")


def test_an_index_without_descriptions_of_releases_is_reported_and_is_no_failure(constraints, index, capsys):
    constraints.write_text("".join(f"own{number}==1.0\n" for number in range(20)))
    assert audit.main(constraints, index) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"not checked: {index} does not describe releases (it knows none of own0 1.0, own1 1.0")
