"""The protocols of a launch: which part of the movie and which subjects each holds out, and its name in tables.

To add one that splits the movie in a new way, add its `split.protocol` to `deepemotion.settings.schema`, the rule to
`deepemotion.samples.splits`, and a line here.
"""

from enum import StrEnum
from typing import Self


class Protocol(StrEnum):
    """Which part of the movie and which subjects are held out; the value is that of `--protocol`.

    `movie_split` is the `split.protocol` of its trials, `held_out_subjects` whether models are tested on subjects that
    they were not trained on, `in_tables` its name there, and `in_words` what a sentence calls it.
    """

    movie_split: str
    held_out_subjects: bool
    in_tables: str
    in_words: str

    random = "random", "random", False, "random", "Published protocol"
    block = "block", "block", False, "block", "Parts of the movie left out"
    run = "run", "run", False, "run", "Whole runs left out"
    subject = "subject", "block", True, "subject", "Subjects and parts of the movie left out"
    run_subject = "run-subject", "run", True, "run x subject", "Subjects and whole runs left out"

    def __new__(cls, value: str, movie_split: str, held_out_subjects: bool, in_tables: str, in_words: str) -> Self:
        """Return the member of this value, with its attributes."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.movie_split, member.held_out_subjects = movie_split, held_out_subjects
        member.in_tables, member.in_words = in_tables, in_words
        return member

    @classmethod
    def of(cls, split: str, held_out_subjects: bool) -> "Protocol":
        """Return the protocol of a trial with this `split.protocol`, whether or not it holds subjects out.

        A split that no protocol holds subjects out with has one name for both.
        """
        alike = [protocol for protocol in cls if protocol.movie_split == split]
        return next((protocol for protocol in alike if protocol.held_out_subjects == held_out_subjects), alike[0])
