"""Prints the lower bounds of pyproject's dependencies and of the extras that tests use, as exact pip constraints."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
for requirement in [*project["dependencies"], *extras["compression"], *extras["test"]]:
    match = re.fullmatch(r"([\w.-]+)(?:\[.*\])?>=([\w.]+)", requirement)
    if match is None:
        raise SystemExit(
            f"pyproject.toml: {requirement}: write it as name>=version, which `make test-minimum` can read"
        )
    print("==".join(match.groups()))
