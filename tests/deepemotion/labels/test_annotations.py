from pathlib import Path

import pytest

from deepemotion.errors import UserError
from deepemotion.labels import annotations
from deepemotion.labels.annotations import Event

HEADER = "start,end,character,arousal,emotion\r\n"
ROW = "2.0,5.5,FORREST,LOW,LOVE\r\n"
KNOWN = {"LOVE", "HATE"}


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_an_event_holds_times_character_and_labels(tmp_path: Path) -> None:
    write(tmp_path, "av1o01.csv", HEADER + ROW + "\r\n6,7,JENNY,LOW,\r\n8,8,DAN,HIGH,LOVE HATE\r\n")
    assert annotations.read(tmp_path, ["all"], KNOWN) == {
        "av1o01": [
            Event(2.0, 5.5, "FORREST", ("LOVE",)),
            Event(6.0, 7.0, "JENNY", ()),
            Event(8.0, 8.0, "DAN", ("LOVE", "HATE")),
        ]
    }


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    write(tmp_path, "av1o01.csv", "\ufeff" + HEADER + ROW)
    assert annotations.read(tmp_path, ["all"], KNOWN)["av1o01"]


def test_hidden_files_are_no_observers(tmp_path: Path) -> None:
    write(tmp_path, "av1o01.csv", HEADER + ROW)
    for name in ("._av1o01.csv", ".ipynb_checkpoints/av1o01.csv", "__MACOSX/._av1o01.csv", ".hidden.csv"):
        write(tmp_path, name, b"\x00\x05\x16\x07")
    (tmp_path / "folder.csv").mkdir()
    assert list(annotations.read(tmp_path, ["all"], KNOWN)) == ["av1o01"]


def test_a_file_that_is_not_fetched_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "av1o01.csv", HEADER + ROW)
    (tmp_path / "av1o02.csv").symlink_to(".git/annex/objects/nowhere")
    with pytest.raises(UserError, match=r"av1o02\.csv: cannot read: No such file"):
        annotations.read(tmp_path, ["all"], KNOWN)


@pytest.mark.parametrize(
    "text",
    [
        "start , end,character, arousal,emotion\n2.0, 5.5 , FORREST,LOW, LOVE \n",
        HEADER + ROW + "\r\n \r\n,,,,\r\n",
        HEADER + ROW.replace("\r\n", ",,\r\n"),
        HEADER.replace("emotion", "emotion,,") + ROW.replace("\r\n", ",,\r\n"),
        (HEADER + ROW).replace("\r\n", "\r"),
        HEADER + '2.0,5.5,"FORREST", "LOW","LOVE"',
    ],
)
def test_what_spreadsheets_and_editors_do_to_a_file_changes_nothing(tmp_path: Path, text: str) -> None:
    write(tmp_path, "av1o01.csv", text)
    assert annotations.read(tmp_path, ["all"], KNOWN) == {"av1o01": [Event(2.0, 5.5, "FORREST", ("LOVE",))]}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["all"], ["ao1o01", "av1o01", "av1o02", "other"]),
        (["av"], ["av1o01", "av1o02"]),
        (["ao"], ["ao1o01"]),
        (["AV1O02", "ao"], ["ao1o01", "av1o02"]),
        (["other"], ["other"]),
    ],
)
def test_observers_are_selected_by_id_or_group(tmp_path: Path, wanted: list[str], expected: list[str]) -> None:
    for name in ("av1o02", "other", "AV1o01", "deeper/ao1o01"):
        write(tmp_path, f"{name}.csv", HEADER + ROW)
    assert list(annotations.read(tmp_path, wanted, KNOWN)) == expected


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["av1o09"], "no observer 'av1o09'; it has ao1o01, av1o01"),
        (["o"], "no observer 'o'"),
        ([""], "no observer ''"),
        (["av1o01", "av1o01"], "observer av1o01 is selected twice"),
        (["av", "av1o01"], "observer av1o01 is selected twice"),
        (["ao", "all"], "observer ao1o01 is selected twice"),
    ],
)
def test_an_impossible_selection_is_refused(tmp_path: Path, wanted: list[str], message: str) -> None:
    write(tmp_path, "av1o01.csv", HEADER + ROW)
    write(tmp_path, "ao1o01.csv", HEADER + ROW)
    with pytest.raises(UserError, match=message):
        annotations.read(tmp_path, wanted, KNOWN)


@pytest.mark.parametrize("second", ["deeper/av1o01.csv", "deeper/AV1O01.csv", "deeper/av1o01.CSV"])
def test_two_files_of_one_observer_are_refused(tmp_path: Path, second: str) -> None:
    write(tmp_path, "av1o01.csv", HEADER + ROW)
    write(tmp_path, second, HEADER + ROW)
    with pytest.raises(UserError, match="observer av1o01 is also in"):
        annotations.read(tmp_path, ["all"], KNOWN)


def test_a_copy_of_an_observers_file_is_not_another_observer(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i + 1},DAN,LOW,LOVE\r\n" for i in range(5))
    write(tmp_path, "av1o01.csv", HEADER + rows)
    write(tmp_path, "av1o01 (1).csv", HEADER + rows.replace("\r", ""))
    with pytest.raises(UserError, match=r"av1o01 \(1\).csv: the same 5 events as av1o01.csv; keep one of the two"):
        annotations.read(tmp_path, ["all"], KNOWN)
    assert len(annotations.read(tmp_path, ["av1o01"], KNOWN)["av1o01"]) == 5


@pytest.mark.parametrize("mark", [";", "\t"])
def test_fields_may_be_separated_as_spreadsheets_do(tmp_path: Path, mark: str) -> None:
    write(tmp_path, "av1o01.csv", HEADER + ROW)
    expected = annotations.read(tmp_path, ["all"], KNOWN)
    write(tmp_path, "av1o01.csv", (HEADER + ROW).replace(",", mark))
    assert annotations.read(tmp_path, ["all"], KNOWN) == expected


def test_only_the_wanted_observers_files_are_read(tmp_path: Path) -> None:
    write(tmp_path, "av1o01.csv", HEADER + ROW)
    write(tmp_path, "notes.csv", "not an observer")
    assert list(annotations.read(tmp_path, ["av"], KNOWN)) == ["av1o01"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + ROW + "3,2,DAN,LOW,LOVE\r\n", r"av1o01.csv:3: the event ends at 2 s, before its start at 3 s"),
        (HEADER + "x,2,DAN,LOW,LOVE\r\n", r":2: start 'x' is not a time"),
        (HEADER + "1,,DAN,LOW,LOVE\r\n", r":2: end '' is not a time"),
        (HEADER + "1_30,1_40,DAN,LOW,LOVE\r\n", r":2: start '1_30' is not a time"),
        (HEADER + "1,1e308,DAN,LOW,LOVE\r\n", r":2: end '1e308' is not a time"),
        (HEADER + "1,inf,DAN,LOW,LOVE\r\n", r":2: end 'inf' is not a time"),
        (HEADER + "-1,2,DAN,LOW,LOVE\r\n", r":2: start '-1' is not a time"),
        (HEADER + "nan,2,DAN,LOW,LOVE\r\n", r":2: start 'nan' is not a time"),
        (HEADER + ROW + "\r\n1,2,DAN,LOW,JOY\r\n", r":4: label 'JOY' is in no cluster.*--clusters.*HATE, LOVE"),
        (HEADER + "1,2,DAN,LOW\r\n", r":2: 4 fields where the header has 5"),
        (HEADER + '1,2,"DAN,LOW,LOVE\r\n', r":\d: not valid CSV"),
        (
            "start,end,character\r\n1,2,DAN\r\n",
            r":1: needs one column 'emotion'; the columns are start, end, character",
        ),
        ("start,start,end,character,emotion\r\n", r":1: needs one column 'start'"),
        ("", r":1: needs one column 'start'.*the file is empty"),
        (HEADER, "holds no event"),
        (HEADER.encode() + b"1,2,\xff,LOW,LOVE\r\n", "not a text file in UTF-8"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    write(tmp_path, "av1o01.csv", text)
    with pytest.raises(UserError, match=message) as raised:
        annotations.read(tmp_path, ["all"], KNOWN)
    assert "\n" not in str(raised.value)


def test_a_folder_without_observers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no CSV file in it"):
        annotations.read(tmp_path, ["all"], KNOWN)
    with pytest.raises(UserError, match="no such folder"):
        annotations.read(tmp_path / "missing", ["all"], KNOWN)
