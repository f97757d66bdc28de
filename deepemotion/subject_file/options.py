"""The options of packing. They are separate from packing itself so that `--help` imports nothing heavy."""

from enum import StrEnum


class NanRule(StrEnum):
    """What to do with a NaN or infinite voxel inside the mask."""

    FAIL = "fail"
    ZERO = "zero"


class Compression(StrEnum):
    """How the volumes are compressed in the subject file."""

    NONE = "none"
    BITSHUFFLE = "bitshuffle"
