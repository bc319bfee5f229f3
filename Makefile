# Every target sets up what it needs: .venv, with tinysync and its tools. Choose a Python with PYTHON=...

VENV := .venv
BIN := $(VENV)/bin
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
MARKED_OR_NOT := $(if $(ONLY),-k "$(ONLY)")

.PHONY: help demo test check bench soak pictures format clean

help:
	@echo 'make demo      two devices side by side: live edits, offline edits, the merge'
	@echo 'make test      all tests'
	@echo 'make check     formatting, lint, types, who imports whom'
	@echo 'make bench     speed, as ratios against plain types and pycrdt'
	@echo 'make soak      the property tests for hours'
	@echo 'make pictures  those of the README, drawn anew from what really runs'
	@echo 'make format    format the code and sort its imports'

demo: $(VENV)/.ready
	$(BIN)/python examples/demo.py

test: $(VENV)/.ready
	$(BIN)/python -m pytest -q -n auto

check: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.bench-ready
	$(BIN)/python -m bench

soak: $(VENV)/.ready
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -n auto -m 'soak or not soak' --timeout=0 $(MARKED_OR_NOT)

pictures: $(VENV)/.ready
	$(BIN)/python docs/draw.py

format: $(VENV)/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --select I .

clean:
	rm -rf $(VENV) dist build .hypothesis .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# --group needs pip 25.1, and the pip that comes with Python is often older.
$(VENV)/.ready: pyproject.toml
	@set -e; for python in $(CANDIDATES); do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	    && $$python -m venv --clear $(VENV); then break; fi; \
	done; \
	test -x $(BIN)/pip || { echo 'needs Python 3.11 or newer with venv; say which with PYTHON=...' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cli,lan]' --group dev
	@touch $@

$(VENV)/.bench-ready: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	@touch $@
