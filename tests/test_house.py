"""The rules of the house that a program can check."""

import ast
import re
import statistics
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import yaml

import deepemotion

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("deepemotion", "launcher")


def modules(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


SOURCES = modules(*PACKAGES)
# Where the name that is imported is not the name that is installed.
MODULE_OF = {"pyyaml": "yaml", "scikit-learn": "sklearn"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def line_count(path):
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize(("folders", "most"), [((*PACKAGES, "benchmarks"), 300), (("tests",), 250)])
def test_files_stay_short(folders, most):
    assert {path: lines for path in modules(*folders) if (lines := line_count(path)) > most} == {}


def test_half_of_the_files_fit_on_a_few_screens():
    assert statistics.median(line_count(path) for path in SOURCES) <= 170


def test_folders_can_be_taken_in_at_a_glance():
    sizes = Counter(path.parent for path in modules(*PACKAGES, "benchmarks", "tests"))
    assert {folder: size for folder, size in sizes.items() if size > 20} == {}


def test_files_say_their_subject():
    for path in SOURCES:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_packages_hold_a_docstring_only():
    for path in SOURCES:
        if path.name == "__init__.py":
            _, *rest = ast.parse(path.read_text(encoding="utf-8")).body
            version = ["__version__ ="] if path.parent == ROOT / "deepemotion" else []
            assert [ast.unparse(node).partition(" '")[0] for node in rest] == version, path


@pytest.mark.parametrize("program", ["deepemotion.cli", "launcher.cli"])
def test_help_loads_nothing_heavy(program):
    heavy = {"torch", "ray", "pandas", "numpy", "nibabel", "h5py", "matplotlib"}
    code = f"import sys, {program}; print(*({heavy!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_every_dependency_is_used():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    used = {name for path in SOURCES for name in imported(path)}
    for requirement in project["dependencies"]:
        name = requirement.partition(">=")[0].partition("[")[0]
        assert MODULE_OF.get(name, name) in used, name


def test_configurations_are_yaml():
    files = sorted((ROOT / "configs").rglob("*.yaml"))
    assert files
    for path in files:
        assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict), path


@pytest.mark.slow
def test_a_wheel_carries_what_commands_read(tmp_path):
    build = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(ROOT)]
    subprocess.run([sys.executable, "-m", *build], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    for folder, where in (("configs", "deepemotion/configs"), ("launcher/templates", "launcher/templates")):
        files = {path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*") if path.is_file()}
        assert files
        assert files == {
            path.relative_to(installed / where) for path in (installed / where).rglob("*") if path.is_file()
        }
    # The library that was compiled is found beside its source.
    find = "from deepemotion import config_files; import deepemotion.subject_file.kernels; "
    find += "print(config_files.find('studyforrest', 'datasets'))"
    found = subprocess.run([sys.executable, "-c", find], cwd=installed, capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()) == installed / "deepemotion" / "configs" / "datasets" / "studyforrest.yaml"


@pytest.mark.parametrize("script", ["freeze.py", "minimum_constraints.py"])
def test_constraints_can_be_made(script):
    made = subprocess.run([sys.executable, ROOT / "tools" / script], capture_output=True, text=True, check=True).stdout
    pins = dict(line.split("==") for line in made.splitlines() if not line.startswith("#"))
    assert {"torch", "numpy", "pytest"} <= set(pins)
    # A local version such as +cpu is one machine's; the project itself is not a dependency.
    assert not any("+" in version for version in pins.values())
    assert "deepemotion" not in pins


def test_files_that_the_architecture_page_names_exist():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    # Trees in fenced blocks name files relative to one another.
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    tops = "benchmarks|configs|deepemotion|docs|launcher|slurm|tests|tools"
    named = set(re.findall(rf"`((?:{tops})/[^`\s]*)`", prose))
    assert named
    assert {name for name in named if not any(ROOT.glob(name))} == set()


def test_the_citation_is_that_of_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    # What the Citation File Format 1.2.0 requires.
    assert {"authors", "cff-version", "message", "title"} <= set(citation)
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == project["version"] == deepemotion.__version__
    assert citation["license"] == project["license"]
    for reference in citation["references"]:
        assert {"authors", "title", "type"} <= set(reference), reference
