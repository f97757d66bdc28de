"""The command line's `section.key=value`, with values written as in YAML."""

from pathlib import Path
from typing import Any

from deepemotion.config_files import parse_yaml
from deepemotion.errors import UserError


def key_of(override: str) -> str:
    """Return the key of `section.key=value`."""
    return override.partition("=")[0].strip()


def apply_overrides(content: dict[str, Any], overrides: list[str], where: Path) -> dict[str, Any]:
    """Return `content` with each `section.key=value` set; values are read as YAML. Raises UserError for other forms."""
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in content.items()}
    for override in overrides:
        key, equals, text = override.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (equals and dot and section and name):
            raise UserError(f"--set {override}: write it as section.key=value, for instance train.epochs=10")
        target = result.setdefault(section, {})
        if not isinstance(target, dict):
            raise UserError(f"--set {override}: {section} in {where} is not a section of keys")
        try:
            target[name] = parse_value(text)
        except UserError as error:
            raise UserError(f"--set {key.strip()}: {error}") from error
    return result


def parse_value(text: str) -> Any:
    """Read a value as YAML, and `1e-4`, a string in YAML 1.1, as a number."""
    try:
        return float(text) if _is_exponent(text) else parse_yaml(text, "value")
    except UserError as error:
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        raise UserError(f"{shown!r}: not a value; write it as in YAML: 3, 1e-4, zscore, [1, 2]") from error


def _is_exponent(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "e" in text.lower() and any(character.isdigit() for character in text)
