import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepemotion.errors import UserError
from deepemotion.settings.subjects import parse_subjects


@pytest.mark.parametrize(
    ("text", "subjects"),
    [
        ("1,2,5-9", ["01", "02", "05", "06", "07", "08", "09"]),
        ("sub-01, sub-20", ["01", "20"]),
        ("01,1,sub-1", ["01"]),
        ("pilot,sub-patient-3", ["pilot", "patient-3"]),
        ("3-3", ["03"]),
        ("²", ["²"]),
    ],
)
def test_subjects_are_parsed(text: str, subjects: list[str]) -> None:
    assert parse_subjects(text) == subjects


@pytest.mark.parametrize(("text", "said"), [("", "empty entry"), ("1,,2", "empty entry"), ("9-5", "runs backwards")])
def test_wrong_subjects_are_refused(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_subjects(text)


@given(st.lists(st.integers(1, 99), min_size=1, unique=True))
def test_subject_numbers_survive_parsing(numbers: list[int]) -> None:
    assert [int(subject) for subject in parse_subjects(",".join(map(str, numbers)))] == numbers
