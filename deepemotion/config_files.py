"""Finds and reads a configuration: the user's own by its path, a built-in one by its name."""

from pathlib import Path

import yaml

from deepemotion.errors import UserError

_PACKAGE = Path(__file__).parent
# A wheel carries the folder inside the package; a checkout has it beside the package.
CONFIGS = _PACKAGE / "configs" if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent / "configs"


def find(name: str, folder: str = "") -> Path:
    """Return the path of the configuration `name`: a file of that path, or `configs/FOLDER/NAME.yaml` of the package.

    Raises UserError that lists the built-in ones.
    """
    own = Path(name)
    if own.is_file():
        return own
    built_in = CONFIGS / folder / f"{name}.yaml"
    if own.name == name and built_in.is_file():
        return built_in
    names = ", ".join(sorted(path.stem for path in (CONFIGS / folder).glob("*.yaml")))
    raise UserError(f"{name}: no such file or built-in configuration; built-in ones are {names}")


def read_yaml(path: Path) -> dict[str, object]:
    """Read a YAML file whose top level is a mapping. Raises UserError with file and line where it is not."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise UserError(f"{path}{line}: not valid YAML: {problem}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: the top level must be a mapping of keys to values")
    return content
