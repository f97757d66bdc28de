"""Checks the versions in constraints.txt against the advisories that PyPI lists for them (`make audit`).

Exit code 0: none known, or PyPI cannot be reached, which the last line says. Exit code 1: there are advisories.
"""

import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_INDEX = "https://pypi.org/pypi"
_TIMEOUT_S = 30
# An index that knows none of the first versions has no descriptions at all, as many mirrors of PyPI.
_ENOUGH = 5


def pins(text: str) -> list[tuple[str, str]]:
    """Return the names and versions in the text of a constraints file."""
    lines = (line.partition("#")[0].partition(";")[0].strip() for line in text.splitlines())
    return [(name.strip(), version.strip()) for name, _, version in (line.partition("==") for line in lines) if version]


def advisories(release: dict[str, Any]) -> list[str]:
    """Return the advisories in PyPI's description of a release, one line each; withdrawn ones do not count."""
    return [
        f"{entry['id']}: {entry.get('summary') or (entry.get('details') or 'no description').splitlines()[0][:120]}"
        f" (fixed in {', '.join(entry.get('fixed_in') or ()) or 'no release'})"
        for entry in release.get("vulnerabilities") or []
        if not entry.get("withdrawn")
    ]


def fetch(name: str, version: str, index: str) -> dict[str, Any] | None:
    """Return what the index says about a release, None if it does not know it."""
    request = urllib.request.Request(
        f"{index}/{name}/{version}/json", headers={"User-Agent": "deepemotion (make audit)"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
            release: dict[str, Any] = json.load(answer)
            return release
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise


def main(constraints: Path, index: str = _INDEX) -> int:
    """Print the advisories for the versions in a constraints file; return the exit code."""
    pinned = pins(constraints.read_text(encoding="utf-8"))
    affected, unknown = 0, []
    for number, (name, version) in enumerate(pinned):
        try:
            release = fetch(name, version, index)
        except (OSError, ValueError) as error:
            print(f"not checked: {index} cannot be reached ({error}); {number} of {len(pinned)} versions were checked")
            return 1 if affected else 0
        if release is None:
            unknown.append(f"{name} {version}")
            if len(unknown) == number + 1 == min(_ENOUGH, len(pinned)):
                print(f"not checked: {index} does not describe releases (it knows none of {', '.join(unknown)})")
                return 0
            continue
        found = advisories(release)
        affected += bool(found)
        for line in found:
            print(f"{name} {version}: {line}")
    if unknown:
        print(f"not on PyPI, so not checked: {', '.join(unknown)}")
    print(f"{len(pinned) - len(unknown)} of {len(pinned)} versions checked, {affected} with known advisories")
    return 1 if affected else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent.parent / "constraints.txt", *sys.argv[1:2]))
