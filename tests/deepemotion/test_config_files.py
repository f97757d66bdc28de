"""Which configuration a name or a path means."""

from pathlib import Path

import pytest

from deepemotion import config_files
from deepemotion.errors import UserError


def test_built_in_configurations_are_found_by_name_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # A folder of that name, as a run often has, is not the configuration.
    (tmp_path / "paper").mkdir()
    assert config_files.find("paper") == config_files.CONFIGS / "paper.yaml"
    assert config_files.find("studyforrest", "datasets") == config_files.CONFIGS / "datasets" / "studyforrest.yaml"


def test_the_users_own_is_found_by_path(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.touch()
    assert config_files.find(str(own)) == own


@pytest.mark.parametrize("name", ["papre", "../datasets/studyforrest", "missing/paper", ""])
def test_an_unknown_name_lists_the_built_in_ones(name: str) -> None:
    with pytest.raises(UserError, match=r"built-in ones are studyforrest$"):
        config_files.find(name, "datasets")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: 1\nb: [", r":2: not valid YAML: "),
        (b"a: 1\nb: c: d", r":2: not valid YAML: mapping values are not allowed here$"),
        (b"a: !!python/object/apply:os.getcwd []", r":1: not valid YAML: could not determine a constructor"),
        (b"a: \x00", r": not valid YAML: unacceptable character"),
        (b"\xff\xfe\xff", r": not valid YAML: .*can't decode byte"),
        (b"a: 1\nb: 2\na: 3", r":3: not valid YAML: the key 'a' is given twice$"),
        (b"a: {b: 1, c: 2, b: 1}", r":1: not valid YAML: the key 'b' is given twice$"),
        (b"a: 0b_", r":1: not valid YAML: '0b_' cannot be read as int$"),
        (b"a: 1\nb: !!timestamp x", r":2: not valid YAML: 'x' cannot be read as timestamp$"),
        (b"a: !!bool x", r":1: not valid YAML: 'x' cannot be read as bool$"),
        (b"a: " + b"9" * 5000, r":1: not valid YAML: .* cannot be read as int$"),
        (b"a: " + b"[" * 5000, r":1: not valid YAML: nested more than 50 levels deep$"),
        (b"- " * 1000, r":1: not valid YAML: nested more than 50 levels deep$"),
        (b"a: &x {b: *x}", r":1: not valid YAML: an alias stands inside of what it repeats$"),
        (b"a: 1\n---\nb: 2", r":2: not valid YAML: but found another document$"),
        (b"a: " + b"x" * 2**20, r": larger than 1 MiB, so not a configuration$"),
        (b"- 1", r": the top level must be a mapping"),
        (b"", r": the top level must be a mapping"),
    ],
)
def test_wrong_yaml_is_refused_in_one_line_with_file_and_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"wrong\.yaml" + said) as error:
        config_files.read_yaml(path)
    assert "\n" not in str(error.value)


def test_aliases_cannot_multiply_beyond_reason(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    path.write_text("\n".join(lines))
    with pytest.raises(UserError, match="more than 200000 values"):
        config_files.read_yaml(path)


def test_what_yaml_has_for_people_stays(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "\ufeffbase: &base {a: 1, b: 2}\nown: {<<: *base, b: 3}\nday: 2020-13-45\ntime: 1:00:00\nend: 1:00:00\n"
    )
    content = config_files.read_yaml(path, verbatim=("time",))
    assert content["own"] == {"a": 1, "b": 3}
    assert (content["day"], content["time"], content["end"]) == ("2020-13-45", "1:00:00", 3600)


def test_unreadable_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read: No such file"):
        config_files.read_yaml(tmp_path / "missing.yaml")
    with pytest.raises(UserError, match="cannot read: Is a directory"):
        config_files.read_yaml(tmp_path)
