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


def test_unreadable_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read: No such file"):
        config_files.read_yaml(tmp_path / "missing.yaml")
    with pytest.raises(UserError, match="cannot read: Is a directory"):
        config_files.read_yaml(tmp_path)
