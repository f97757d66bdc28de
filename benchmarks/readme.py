"""Writes the last full results into benchmarks/README.md, between its two markers."""

import json
from pathlib import Path
from typing import Any

from benchmarks.stage import RESULTS, Figure, written

README = Path(__file__).parent / "README.md"
_BEGIN, _END = "<!-- results: written by `make bench` -->", "<!-- end of results -->"


def write() -> None:
    """Put the results that lie in benchmarks/results into the page."""
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")


def filled(text: str) -> str:
    """Return the page's text with what is between the markers replaced by the results."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    stages = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    parts = "\n\n".join(_section(stage) for stage in stages)
    return f"{before}{_BEGIN}\n{parts}\n\n{_END}{after}"


def _section(stage: dict[str, Any]) -> str:
    load = stage["load_average"]
    head = (
        f"### {stage['name']}\n\n{stage['date'][:10]}, commit {stage['versions']['commit']}, {stage['machine']['cpus']}"
        f" CPUs ({stage['machine']['processor']}), load {load['before'][0]} before and {load['after'][0]} after\n\n"
        "| | figure | spread | target | reached | note |\n|---|---|---|---|---|---|\n"
    )
    rows = "\n".join(_row(Figure(**figure)) for figure in stage["figures"])
    notes = "".join(f"\n- {note}" for note in stage["notes"])
    return f"{head}{rows}\n{notes}".rstrip()


def _row(figure: Figure) -> str:
    cells = (figure.what, *written(figure), figure.note)
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


if __name__ == "__main__":
    write()
