import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepemotion.errors import UserError
from deepemotion.settings.subjects import parse_subjects
from deepemotion.subject_label import require_subject_label

TWO_DIGITS = [f"{number:02d}" for number in range(1, 21)]


@pytest.mark.parametrize(
    ("text", "subjects"),
    [
        ("1,2,5-9", ["01", "02", "05", "06", "07", "08", "09"]),
        ("sub-01, sub-20", ["01", "20"]),
        ("01,1,sub-1,001", ["01"]),
        ("pilot,sub-patient-3", ["pilot", "patient-3"]),
        ("3-3", ["03"]),
    ],
)
def test_subjects_are_parsed(text: str, subjects: list[str]) -> None:
    assert parse_subjects(text, [*TWO_DIGITS, "pilot", "patient-3"]) == subjects


@pytest.mark.parametrize(
    ("known", "text", "subjects"),
    [
        (["001", "002", "103"], "1,103", ["001", "103"]),
        (["001", "002", "103"], "001-2", ["001", "002"]),
        (["1", "2", "con1"], "1-2,con1", ["1", "2", "con1"]),
        (["1", "01"], "1,01", ["1", "01"]),
        (["1-3", "1", "2", "3"], "1-3", ["1-3"]),
        (["sub-1", "1"], "sub-1", ["sub-1"]),
        ([], "7,30-31,con9", ["07", "30", "31", "con9"]),
    ],
)
def test_a_known_label_comes_first_and_then_the_label_with_the_number(
    known: list[str], text: str, subjects: list[str]
) -> None:
    assert parse_subjects(text, known) == subjects


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty entry"),
        ("1,,2", "empty entry"),
        ("9-5", "runs backwards"),
        ("1-1000000000", "more than 10000 subjects"),
        ("1-999999999", "more than 10000 subjects"),
        ("1-6000,6001-12000", "more than 10000 subjects"),
        (f"1-{'9' * 5000}", "more than 18 digits"),
        ("001", "001 could be 01 or 1; write the label in full"),
    ],
)
def test_wrong_subjects_are_refused(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        parse_subjects(text, ["01", "1"])
    assert len(str(refused.value)) < 200


@given(st.lists(st.integers(1, 99), min_size=1, unique=True))
def test_subject_numbers_survive_parsing(numbers: list[int]) -> None:
    known = [f"{number:02d}" for number in range(1, 100)]
    assert [int(subject) for subject in parse_subjects(",".join(map(str, numbers)), known)] == numbers


@pytest.mark.parametrize("label", ["01", "1", "con1", "patient-3", "a_b+c.d", "x" * 64])
def test_labels_that_people_use_are_taken(label: str) -> None:
    assert require_subject_label(label) == label


@pytest.mark.parametrize(
    "label", ["", ".", "..", "../x", "a/b", "a b", "a\tb", "a\nb", "a,b", "é", "x" * 65, 1, True, None]
)
def test_labels_that_would_leave_a_folder_or_break_a_table_are_refused(label: object) -> None:
    with pytest.raises(ValueError, match="label") as refused:
        require_subject_label(label)
    assert "\n" not in str(refused.value)
