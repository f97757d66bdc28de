"""Builds kernels.c when the package is installed: with the machine's C compiler, else with ziglang's."""

import ctypes
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# For any processor of the machine's kind: nodes of a cluster may be older than the one that installs.
_OPTIONS = ("-O3", "-shared", "-fPIC", "-s")


class KernelsHook(BuildHookInterface):
    """Puts the library beside its source for an editable installation, else into the wheel alone."""

    def dependencies(self) -> list[str]:
        """Ask for ziglang, a C compiler within a Python package, where the machine has none."""
        return [] if _compiler() else ["ziglang>=0.13"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the library, and make the wheel one for this kind of machine."""
        source = Path(self.root, "deepemotion", "subject_file", "kernels.c")
        # As kernels.py looks for it.
        name = f"kernels-{platform.machine()}-{zlib.crc32(source.read_bytes()):08x}.so"
        editable = version == "editable"
        # On the tree's own disk, a finished library takes its place in one step.
        self._folder = tempfile.TemporaryDirectory(prefix=".kernels-", dir=self.root if editable else None)
        library = Path(self._folder.name, name)
        _build(source, library)
        if editable:
            library.replace(source.with_name(name))
        else:
            build_data["force_include"][str(library)] = f"deepemotion/subject_file/{name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was built, now that the wheel has it."""
        self._folder.cleanup()


def _compiler() -> list[str]:
    """Return the C compiler's command, empty for none. Raises RuntimeError where CC names one that is not there."""
    words = shlex.split(os.environ.get("CC", "")) or ["cc"]
    if shutil.which(words[0]):
        return words
    if words != ["cc"]:
        raise RuntimeError(f"CC={words[0]}: no such compiler")
    return []


def _build(source: Path, library: Path) -> None:
    # Unlike others, ziglang builds for the very processor it runs on, unless told.
    command = _compiler() or [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]
    try:
        subprocess.run([*command, *_OPTIONS, "-o", str(library), str(source)], check=True)
        ctypes.CDLL(str(library))
    except (subprocess.CalledProcessError, OSError) as error:
        raise RuntimeError(
            f"{shlex.join(command)} does not build {source} ({error}); set CC to a C compiler"
        ) from error
