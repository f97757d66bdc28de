"""Installation compiles the C code, by whatever compiler there is, and says which one failed."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def build() -> ModuleType:
    """Return hatch_build.py, the hook that installation calls."""
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_machine_without_a_compiler_installs_one_from_the_package_index(
    build: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = build.KernelsHook(str(ROOT), {}, None, None, "", "wheel")
    monkeypatch.setenv("CC", f"{sys.executable} -x")
    assert hook.dependencies() == []
    monkeypatch.setenv("CC", "/nowhere/cc")
    with pytest.raises(RuntimeError, match="CC=/nowhere/cc: no such compiler"):
        hook.dependencies()
    monkeypatch.setenv("CC", "")
    monkeypatch.setenv("PATH", os.devnull)
    assert hook.dependencies() == ["ziglang>=0.13"]


@pytest.mark.parametrize("program", ["exit 1", 'echo "not a library" > "$6"'])
def test_a_compiler_that_fails_is_named_and_leaves_nothing(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    folder = tmp_path / "tree" / "deepemotion" / "subject_file"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "deepemotion" / "subject_file" / "kernels.c", folder)
    compiler = tmp_path / "broken-cc"
    compiler.write_text(f"#!/bin/sh\n{program}\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    hook = build.KernelsHook(str(tmp_path / "tree"), {}, None, None, "", "wheel")
    with pytest.raises(RuntimeError, match=r"broken-cc does not build .*; set CC to a C compiler"):
        hook.initialize("editable", {"force_include": {}})
    assert [path.name for path in folder.iterdir()] == ["kernels.c"]
