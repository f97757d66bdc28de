# Everything a fresh clone needs is made here: `make demo` and `make test` set up what they use.
PYTHON ?= python3
VENV := .venv
MINIMUM := .venv-minimum
BENCH := .venv-bench
BIN := $(VENV)/bin
COMPILED := hatch_build.py deepemotion/subject_file/kernels.c
# Files stay whole, since the tests of one share a cluster.
PYTEST := -m pytest --dist loadfile --no-loadscope-reorder
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test test-fast test-minimum faults bench lint audit constraints clean

help:
	@echo "make demo          the main job on simulated data: label, pack, train 19 + 1, sweep, test, report"
	@echo "make test          the whole test suite"
	@echo "make test-fast     the tests that need seconds"
	@echo "make test-minimum  the fast tests with the oldest packages that pyproject.toml allows"
	@echo "make faults        provoke faults and generate inputs (FAULTS=300, INPUTS=10000, SEED, KINDS=\"damage ray\")"
	@echo "make bench         measure speed and memory (QUICK=1: in small; STAGES=\"pack load\": only those)"
	@echo "make lint          ruff, mypy, import-linter"
	@echo "make audit         look up known security advisories for the versions in constraints.txt"
	@echo "make constraints   write constraints.txt from what is installed"
	@echo "make clean         remove the virtual environments and the demo"

$(VENV)/.installed: pyproject.toml constraints.txt $(COMPILED)
	@tools/check_python $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) -c constraints.txt -e '.[dev]'
	@touch $@

$(MINIMUM)/.installed: pyproject.toml tools/minimum_constraints.py $(COMPILED)
	@tools/check_python $(PYTHON)
	$(PYTHON) -m venv --clear $(MINIMUM)
	$(PYTHON) tools/minimum_constraints.py > $(MINIMUM)/constraints.txt
	$(MINIMUM)/bin/python $(PIP_INSTALL) -c $(MINIMUM)/constraints.txt -e '.[compression,test]'
	@touch $@

# An environment of its own, since `make constraints` writes down whatever is in $(VENV), and zarr is only the baseline's.
# It sees the packages of $(VENV), so that torch need not be installed twice.
$(BENCH)/.installed: $(VENV)/.installed benchmarks/requirements.txt
	$(BIN)/python -m venv --clear $(BENCH)
	$(BENCH)/bin/python benchmarks/see_packages.py $(VENV)
	$(BENCH)/bin/python $(PIP_INSTALL) -c constraints.txt -r benchmarks/requirements.txt
	@touch $@

demo: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" tools/demo demo

# OpenMP's threads sleep when they wait, and so take no core from another test.
test test-fast test-minimum faults: export OMP_WAIT_POLICY := PASSIVE

# Tests on SLURM start many processes: beside others, or with more clusters at once, they would starve.
test: $(VENV)/.installed
	$(BIN)/python $(PYTEST) -n 2 tests/slurm
	$(BIN)/python $(PYTEST) -n 2 --ignore=tests/slurm

test-fast: $(VENV)/.installed
	$(BIN)/python $(PYTEST) -n 2 -m "not slow"

test-minimum: $(MINIMUM)/.installed
	$(MINIMUM)/bin/python $(PYTEST) -n 2 -m "not slow"

bench: $(BENCH)/.installed
	$(BENCH)/bin/python -m benchmarks $(if $(QUICK),--quick) $(STAGES)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir $(VENV)/.import_linter

# Needs only the standard library.
audit:
	$(PYTHON) tools/audit.py

constraints: $(VENV)/.installed
	$(BIN)/python tools/freeze.py > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) $(MINIMUM) $(BENCH) demo deepemotion/subject_file/kernels-*.so
