# make demo    a server and a client on this machine, shown at work
# make test    the whole test suite (the tests against OpenSSH need its server and client)
# make check   ruff, mypy and the documentation, warnings as errors
# make bench   measures this library beside its peers
# make fuzz    mutated messages and coverage-guided fuzzing, some 25 minutes; FUZZ_SECONDS=60 gives each target that long
# make soak    faults at every byte, tunnels under load, random networks: 5 minutes in all; SOAK_SECONDS=3600 is an hour
#
# Everything is installed into .venv, and again only after pyproject.toml has changed. PYTHON=python3.13 chooses the interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test check bench docs fuzz soak

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

demo: $(VENV)/.installed-cli
	$(BIN)/trio-ssh-demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n auto --dist worksteal

check: $(VENV)/.installed-check
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(MAKE) --no-print-directory docs

docs: $(VENV)/.installed-check
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks

FUZZ_SECONDS ?= 20

fuzz: $(VENV)/.installed-fuzz
	$(BIN)/python -m tests.fuzz.run --seconds $(FUZZ_SECONDS)

SOAK_SECONDS ?= 300

soak: $(VENV)/.installed-test
	$(BIN)/python -m tests.soak --seconds $(SOAK_SECONDS)

VERSION_TEST := import sys; sys.version_info >= (3, 11) or sys.exit("trio_ssh needs Python 3.11 or newer; this is " \
	+ sys.version.split()[0] + " (" + sys.executable + "). Choose one with: make PYTHON=/path/to/python3.11")

# A .venv that is there is used as it is; one that has no working pip (left behind by an interrupted run) is made again in place.
$(VENV)/.installed-%: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not on the PATH: install Python 3.11 or newer, or say make PYTHON=..." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 \
	  || { $(PYTHON) -c '$(VERSION_TEST)' && echo "$(PYTHON) -m venv $(VENV)" && $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -c '$(VERSION_TEST)'
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[$*]'
	@touch $@
