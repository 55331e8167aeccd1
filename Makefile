# Control Room. `make demo` starts the room on its demo stack; `make test` runs every check.
#
# Everything is installed into .venv; stamps in .venv make a second run start at once.

.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak soak-procedures soak-programs soak-wall screenshot lock clean

VENV := .venv
BIN := $(VENV)/bin
# Test files run side by side; each server belongs to the process that started it.
WORKERS ?= auto
SOURCES := backends widgets themes tui
# A path, not a finder: the finder's imports would be 20 ms of every start of Python here.
EDITABLE := --config-settings editable_mode=compat --editable

# The newest interpreter that is new enough, unless PYTHON names one.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

demo: $(VENV)/.demo  ## install what is needed and start the room on its demo stack
	@$(BIN)/controlroom demo

test: $(VENV)/.test  ## install what is needed and run every check and test
	@sh tests/servers/install.sh
	@$(MAKE) --no-print-directory check
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(PYTEST)

check: $(VENV)/.test  ## style, types and import contracts
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.test  ## measure the room under a real terminal, beside its peers
	@$(BIN)/python -m tests.bench

soak: soak-procedures soak-programs soak-wall  ## all three soaks, an hour and more

soak-procedures: $(VENV)/.test  ## 5,000 x 100 steps of two operators (EXAMPLES=5000, SEED=0), 10,000 races, all broken ladders
	@CONTROLROOM_SOAK=1 CONTROLROOM_SOAK_EXAMPLES=$(or $(EXAMPLES),5000) CONTROLROOM_SOAK_SEED=$(or $(SEED),0) \
		$(BIN)/python -m pytest -q -n $(WORKERS) tests/property/test_procedures_machine.py \
		tests/safety/test_kill_races.py tests/safety/test_room_races.py tests/sim/test_ladder_matrix.py
	@CONTROLROOM_SOAK=1 $(BIN)/python -m pytest -q -n $(WORKERS) -m hypothesis tests

soak-programs: $(VENV)/.test  ## whole procedures on real engines and hosts, each to its verdict, that take minutes
	@CONTROLROOM_SOAK=1 $(BIN)/python -m pytest -q -m soak -n $(WORKERS) --dist loadgroup --no-loadscope-reorder tests

soak-wall: $(VENV)/.test  ## leave the wall screen running: MINUTES=60
	@$(BIN)/python -m tests.bench.soak --minutes $(or $(MINUTES),10)

screenshot: $(VENV)/.demo  ## make docs/screenshot.svg anew from the demo
	@$(BIN)/python docs/screenshot.py

lock: | $(VENV)/bin/python  ## write requirements.lock anew from what pyproject.toml allows
	@sh .ci/lock $(PYTHON)

clean:  ## remove the environment and everything made by the tools
	rm -rf $(VENV) .bench build dist *.egg-info snapshot_report.html \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find $(SOURCES) tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Control Room needs Python 3.11 or newer as python3."; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); sh .ci/venv $(PYTHON) $(VENV); }

$(VENV)/.demo: pyproject.toml requirements.lock | $(VENV)/bin/python
	@echo "Installing Control Room and its demo into $(VENV)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint requirements.lock $(EDITABLE) '.[demo]'
	@$(BIN)/python -m compileall -q $(SOURCES)
	@touch $@

$(VENV)/.test: pyproject.toml requirements.lock | $(VENV)/bin/python
	@echo "Installing Control Room and its test tools into $(VENV)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --constraint requirements.lock $(EDITABLE) '.[test]'
	@$(BIN)/python -m compileall -q $(SOURCES)
	@touch $(VENV)/.demo $@
