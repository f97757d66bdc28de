"""Builds deepemotion/kernels.c when the package is installed: with the machine's C compiler, else with ziglang's."""

import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# For any processor of the machine's kind: nodes of a cluster may be older than the one that installs.
_OPTIONS = ("-O3", "-shared", "-fPIC", "-s")


class KernelsHook(BuildHookInterface):
    """Puts the library into the source tree for an editable installation, and into a wheel."""

    def dependencies(self) -> list[str]:
        """Ask for ziglang, a C compiler within a Python package, where the machine has none."""
        return [] if _compiler() else ["ziglang>=0.13"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the library, and make the wheel one for this kind of machine."""
        source = Path(self.root, "deepemotion", "kernels.c")
        library = source.with_name(f"kernels-{zlib.crc32(source.read_bytes()):08x}.so")
        _build(source, library)
        build_data["force_include"][str(library)] = f"deepemotion/{library.name}"
        build_data["infer_tag"] = True


def _compiler() -> str | None:
    return shutil.which(os.environ.get("CC", "cc"))


def _build(source: Path, library: Path) -> None:
    compiler = _compiler()
    # Unlike others, ziglang builds for the very processor it runs on, unless told.
    command = [compiler] if compiler else [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]
    temporary = library.with_suffix(f".{os.getpid()}")
    try:
        subprocess.run([*command, *_OPTIONS, "-o", str(temporary), str(source)], check=True)
        temporary.replace(library)
    finally:
        temporary.unlink(missing_ok=True)
