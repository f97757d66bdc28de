"""Shapes of generated inputs: hypothesis strategies that spoil a valid file a little, or make one of anything."""

import contextlib
import copy
import json
import math
from typing import Any

import yaml
from hypothesis import strategies as st

# What people and programs write by mistake, or what a parser may take for something else.
_WORDS = [
    "",
    " ",
    "\t",
    "null",
    "~",
    "true",
    "no",
    "nan",
    "inf",
    "-inf",
    "0",
    "-0",
    "-1",
    "1e400",
    "1.0e+308",
    "1e-320",
]
_WORDS += [
    "9" * 400,
    "0x1F",
    "0b_",
    "1_000",
    "1:00:00",
    "2020-13-45",
    "2020-02-30T99:99:99",
    "!!timestamp x",
    "!!int x",
]
_WORDS += ["!!binary x", "!!set {a, b}", "!!omap [a: 1]", "!!python/object:os.system x", "&a [*a]", "*unknown", "<<: 1"]
_WORDS += [
    "{",
    "}",
    "[",
    "]",
    ":",
    "-",
    "?",
    "|",
    ">",
    "%",
    "@",
    "`",
    "'",
    '"',
    "#",
    "1,2",
    "1-1000000000",
    "5-1",
    "a=b",
]
_WORDS += [
    "é",
    "\u202e",
    "\ud7ff",
    "\x00",
    "\x1b[31m",
    "\u0660",
    "²",
    "١",
    "../..",
    "x" * 3000,
    "{0}",
    "{subject.__class__}",
]
_WORDS += ["a\nb", "\r", "[" * 3000, "{a: " * 500, "- " * 500, "a: &a [1,1,1,1,1,1,1,1,1]"]

numbers = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 1, 2**31, 2**53 + 1, 2**63, 2**64, 10**18, 10**30, 10**400]),
    st.floats(),
    st.sampled_from([1e308, -1e308, 1e-320, 0.1, math.nan, math.inf]),
)
words = st.one_of(st.sampled_from(_WORDS), st.sampled_from(_WORDS), st.text(max_size=20))
scalars = st.one_of(st.none(), st.booleans(), numbers, words)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(words, inner, max_size=4)),
    max_leaves=8,
)


@st.composite
def structures(draw: st.DrawFn, example: Any) -> Any:
    """Give a structure of dictionaries and lists like the example, changed in up to three places."""
    content = copy.deepcopy(example)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(content))
        if not places:
            return draw(values)
        holder, key = draw(st.sampled_from(places))
        how = draw(st.sampled_from(["value", "value", "scalar", "removed", "renamed", "repeated"]))
        if how == "removed":
            del holder[key]
        elif how == "renamed" and isinstance(holder, dict):
            holder[draw(words)] = holder.pop(key)
        elif how == "repeated" and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        else:
            holder[key] = draw(scalars if how == "scalar" else values)
    return content if draw(st.integers(0, 30)) else draw(values)


def _places(content: Any) -> Any:
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield content, key
        yield from _places(value)


def json_files(example: bytes) -> st.SearchStrategy[bytes]:
    """Give JSON files like the example, and broken ones."""
    changed = structures(json.loads(example)).map(lambda content: json.dumps(content, default=str).encode())
    return st.one_of(changed, changed, byte_strings(example))


def yaml_files(example: bytes) -> st.SearchStrategy[bytes]:
    """Give YAML files like the example, and broken ones."""
    changed = structures(yaml.safe_load(example)).map(lambda content: _plain_yaml(content).encode("utf-8", "replace"))
    return st.one_of(
        changed, with_words(example, b":,[]{}\n "), with_words(example, b":,[]{}\n "), byte_strings(example)
    )


def _plain_yaml(content: Any) -> str:
    try:
        return str(yaml.safe_dump(content, allow_unicode=True))
    except (yaml.YAMLError, RecursionError, ValueError):
        return json.dumps(content, default=str)


@st.composite
def with_words(draw: st.DrawFn, example: bytes, separators: bytes) -> bytes:
    """Give a text like the example with some of its words replaced; `separators` is what stands between words."""
    text = example.decode()
    pieces, piece = [], ""
    for character in text:
        if character.encode() in [bytes([code]) for code in separators]:
            pieces += [piece, character]
            piece = ""
        else:
            piece += character
    pieces.append(piece)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(pieces) - 1))
        pieces[place] = draw(st.one_of(words, words, numbers.map(str)))
    return "".join(pieces).encode("utf-8", "surrogatepass")


@st.composite
def tables(draw: st.DrawFn, example: bytes, separator: str = "\t") -> bytes:
    """Give tables like the example, with other cells, rows and columns."""
    rows = [line.split(separator) for line in example.decode().splitlines()]
    for _ in range(draw(st.integers(1, 3))):
        row = draw(st.integers(0, min(len(rows) - 1, 6)))
        how = draw(
            st.sampled_from(["cell", "cell", "cell", "drop row", "twice", "drop column", "column twice", "order"])
        )
        column = draw(st.integers(0, max(0, len(rows[row]) - 1)))
        if how == "cell" and rows[row]:
            rows[row][column] = draw(st.one_of(words, numbers.map(str)))
        elif how == "drop row" and len(rows) > 1:
            del rows[row]
        elif how == "twice":
            rows.insert(row, list(rows[row]))
        elif how == "order":
            rows[row] = rows[row][::-1]
        else:
            repeat = 0 if how == "drop column" else 2
            rows = [cells[:column] + cells[column : column + 1] * repeat + cells[column + 1 :] for cells in rows]
    text = "\n".join(separator.join(cells) for cells in rows) + "\n"
    return text.encode("utf-8", "surrogatepass")


@st.composite
def byte_strings(draw: st.DrawFn, example: bytes) -> bytes:
    """Give the example with bits flipped, parts zeroed, cut, repeated or replaced."""
    content = bytearray(example)
    for _ in range(draw(st.integers(1, 3))):
        how = draw(st.sampled_from(["bit", "bit", "bit", "zeros", "cut", "removed", "repeated", "noise", "number"]))
        place = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.sampled_from([1, 4, 16, 512]))
        if how == "bit" and content:
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif how == "zeros":
            content[place : place + length] = b"\0" * len(content[place : place + length])
        elif how == "cut":
            del content[place:]
        elif how == "removed":
            del content[place : place + length]
        elif how == "repeated":
            content[place:place] = content[place : place + length]
        elif how == "noise":
            content[place : place + 4] = draw(st.binary(max_size=8))
        elif how == "number":
            kind = draw(st.sampled_from([b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\x00\x00\x80\x7f", b"\x00\x00\xc0\x7f"]))
            content[place : place + len(kind)] = kind
    return bytes(content)


def any_file(example: bytes, strategy: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Give files like the example, and now and then one of nothing like it."""
    other = st.one_of(
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary(max_size=200)
    )
    return st.one_of(strategy, strategy, strategy, strategy, byte_strings(example), other)


def difference(example: Any, value: Any) -> str:
    """Return what a value has in the place of the example's, in words."""
    if isinstance(example, bytes) and isinstance(value, bytes) and example:
        with contextlib.suppress(ValueError, RecursionError):
            return difference(json.loads(example), json.loads(value))
        start = _common(example, value)
        end = _common(example[start:][::-1], value[start:][::-1])
        before, after = example[start : len(example) - end], value[start : len(value) - end]
        return f"at byte {start}: {before[:80]!r} ({len(before)} bytes) became {after[:150]!r} ({len(after)} bytes)"
    if isinstance(example, dict) and isinstance(value, dict):
        missing = [f"{key!r} is missing" for key in example if key not in value]
        added = [f"{key!r}: {value[key]!r}"[:150] for key in value if key not in example]
        changed = [f"{key!r}: {difference(example[key], value[key])}" for key in example if key in value]
        return "; ".join([*missing, *added, *(text for text in changed if not text.endswith(": "))])
    if isinstance(example, list) and isinstance(value, list) and len(example) == len(value):
        changed = [f"[{i}]: {difference(*pair)}" for i, pair in enumerate(zip(example, value, strict=True))]
        return "; ".join(text for text in changed if not text.endswith(": "))
    if example is not None and repr(example) == repr(value):
        return ""
    return repr(value)[:300]


def _common(one: bytes, other: bytes) -> int:
    """Return the length of the longest common beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))
