"""Finds and reads a configuration: the user's own by its path, a built-in one by its name.

All YAML of the program is read here, so that a wrong file ends with one line whatever is wrong with it.
"""

from collections.abc import Collection, Hashable
from pathlib import Path
from typing import Any, get_args

import pydantic
import yaml
from pydantic import BaseModel, ConfigDict

from deepemotion.errors import UserError

_PACKAGE = Path(__file__).parent
# A wheel carries the folder inside the package; a checkout has it beside the package.
CONFIGS = _PACKAGE / "configs" if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent / "configs"

# Far more than any configuration needs: beyond these, a file is something else, or meant to use up time and memory.
_MOST_BYTES = 2**20
_MOST_LEVELS = 50
_MOST_VALUES = 200_000


class Section(BaseModel):
    """A part of a configuration: unknown keys are errors, numbers are finite, and `true` is not a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _no_number_by_accident(cls, value: object, info: pydantic.ValidationInfo) -> object:
        if isinstance(value, bool) and info.field_name is not None:
            types = _types(cls.model_fields[info.field_name].annotation)
            if bool not in types and types & {int, float}:
                raise ValueError(f"must be a number, not {str(value).lower()}")
        return value


def find(name: str, folder: str = "") -> Path:
    """Return the path of the configuration `name`: a file of that path, or `configs/FOLDER/NAME.yaml` of the package.

    Raises UserError that lists the built-in ones.
    """
    own = Path(name)
    try:
        if own.is_file():
            return own
    except OSError as error:
        # For instance a name that is too long.
        raise UserError(f"{name}: cannot read: {error.strerror}") from error
    built_in = CONFIGS / folder / f"{name}.yaml"
    if own.name == name and built_in.is_file():
        return built_in
    names = ", ".join(sorted(path.stem for path in (CONFIGS / folder).glob("*.yaml")))
    problem = "is a folder; give a file" if own.is_dir() else "no such file"
    raise UserError(f"{name}: {problem} or built-in configuration; built-in ones are {names}")


def read_yaml(path: Path, verbatim: Collection[str] = ()) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping. Raises UserError with file and line where it is anything else.

    The values of the top-level keys in `verbatim` are returned as they are written: YAML 1.1 reads 1:00:00 as 3600.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot read: {error.strerror}") from error
    if len(data) > _MOST_BYTES:
        raise UserError(f"{path}: larger than {_MOST_BYTES // 2**20} MiB, so not a configuration")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not valid YAML: not a text file in UTF-8: {error}") from error
    content = parse_yaml(text, str(path), verbatim)
    if not isinstance(content, dict):
        raise UserError(f"{path}: the top level must be a mapping of keys to values")
    return content


def parse_yaml(text: str, where: str, verbatim: Collection[str] = ()) -> Any:
    """Return the one value that a YAML text holds. Raises UserError that names `where`, and the line if there are any.

    Rejected are also keys that are given twice, and texts nested or repeated (by aliases) beyond all reason.
    """
    try:
        loader = _Loader(text)
        try:
            return loader.read(verbatim)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise UserError(f"{where}{line}: not valid YAML: {problem}") from error


_RESOLVERS = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, bounded, in which every error is a YAMLError with a line; dates are text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.yaml_implicit_resolvers = _RESOLVERS
        self._level = 0
        # The number of values of each node, with all that its aliases repeat; 0 while it is being read.
        self._values: dict[int, int] = {}

    def read(self, verbatim: Collection[str]) -> Any:
        """Return the value of the text's only document."""
        root = self.get_single_node()
        if root is None:
            return None
        self._count(root)
        for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
            if key.value in verbatim and isinstance(value, yaml.ScalarNode) and not value.tag.endswith(":null"):
                value.tag = "tag:yaml.org,2002:str"
        return self.construct_document(root)

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node as the base class does, up to a depth."""
        self._level += 1
        if self._level > _MOST_LEVELS:
            raise _error(f"nested more than {_MOST_LEVELS} levels deep", self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        node: yaml.Node | None = super().compose_node(parent, index)
        self._level -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct a value as the base class does; a text that is not of its type has a line, too."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
            kind = node.tag.rpartition(":")[2]
            text = node.value if isinstance(node.value, str) and len(node.value) <= 40 else "this value"
            raise _error(f"{text!r} cannot be read as {kind}", node.start_mark) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Construct a mapping as the base class does. Raises ConstructorError for a key that is given twice."""
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise _error(f"the key {key!r} is given twice", key_node.start_mark)
                seen.add(key)
        return super().construct_mapping(node, deep)

    def _count(self, node: yaml.Node) -> int:
        if id(node) in self._values:
            if not self._values[id(node)]:
                raise _error("an alias stands inside of what it repeats", node.start_mark)
            return self._values[id(node)]
        self._values[id(node)] = 0
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            parts = node.value
        count = 1 + sum(self._count(part) for part in parts)
        if count > _MOST_VALUES:
            raise _error(f"more than {_MOST_VALUES} values", node.start_mark)
        self._values[id(node)] = count
        return count


def _error(problem: str, mark: Any) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)


def _types(annotation: Any) -> set[Any]:
    """Return the types that an annotation is made of; the values of a Literal stand for their types."""
    parts = get_args(annotation)
    if not parts:
        return {annotation if isinstance(annotation, type) else type(annotation)}
    return set().union(*map(_types, parts))
