# `make` alone lists the targets. Written for GNU make 3.81 (macOS) and later.

# The first Python that is new enough; override with `make PYTHON=/path/to/python3.12 setup`.
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11 python
PYTHON  ?= $(shell for p in $(PYTHONS); do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed
# More options for one call: make unit PYTEST_ARGS='-x -k pooling', make book RUN_ARGS='--force'
PYTEST_ARGS ?=
NBVAL_ARGS  ?=
RUN_ARGS    ?=
BENCH_ARGS  ?=
HEAD_ARGS   ?=
PIP_ARGS    ?=
# What follows the weights needs no network, and so must not use it.
OFFLINE := EMBREG_OFFLINE=1 HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help setup weights data book pdf test lint unit nbval smoke bench notebooks lab lock clean

help:  ## list the targets
	@echo "usage: make TARGET"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile

setup: $(STAMP)  ## create .venv and install the pinned packages

# Stamped last: an install that failed half-way is tried again by the next call.
$(STAMP): pyproject.toml constraints.txt
	@rm -f $(STAMP)
	@test -n "$(PYTHON)" || { \
		echo "embreg needs Python 3.11 or later, and found none of: $(PYTHONS)." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "embreg needs Python 3.11 or later; $(PYTHON) is: $$("$(PYTHON)" --version 2>&1)" >&2; \
		echo "Name another one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: its venv or ensurepip module is missing." >&2; \
		echo "Debian and Ubuntu keep them apart: apt-get install python3-venv" >&2; exit 1; }
	@"$(BIN)/python" -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	@echo "installing the pinned packages into $(VENV): one to three minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e ".[all]"
	@$(BIN)/python -m pip check
	@touch $(STAMP)

weights: setup  ## get and verify the model weights that tests and profile smoke read
	$(BIN)/embreg models fetch
	$(BIN)/embreg models fetch --profile smoke

data: setup  ## get and verify the ordinary tables and the C sources that tests read
	$(BIN)/embreg data fetch

book: weights data  ## run the notebooks of profile offline and render the book
	$(BIN)/embreg models fetch --profile offline
	$(OFFLINE) $(BIN)/embreg run --profile offline $(RUN_ARGS)
	$(OFFLINE) $(BIN)/embreg book --profile offline

pdf: book  ## the same as one PDF, _build/offline/embreg.pdf; wants Chromium or Chrome
	$(OFFLINE) $(BIN)/embreg book --profile offline --pdf

test: lint unit nbval smoke  ## everything that must pass before a commit

lint: setup  ## style, types, and whether the pins agree
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/lock.py --check

unit: weights data  ## unit tests and docstring examples
	$(BIN)/python -m pytest -n logical --maxprocesses 4 $(PYTEST_ARGS)

# Warnings are errors in the package's own tests; here they would be those of Jupyter's machinery.
nbval: weights  ## the committed notebooks give the committed outputs
	$(OFFLINE) $(BIN)/python -m pytest notebooks --nbval --nbval-current-env --nbval-sanitize-with tests/nbval.cfg \
		-o addopts= -W default $(NBVAL_ARGS)

smoke: weights  ## profile smoke end to end: runs, comparison with the committed numbers, book, page checks
	$(OFFLINE) $(BIN)/embreg run --profile smoke $(RUN_ARGS)
	$(OFFLINE) $(BIN)/embreg reproduce --profile smoke --no-run
	$(OFFLINE) $(BIN)/embreg book --profile smoke
	$(BIN)/python -m embreg.pages _build/smoke/_build/html --browser

bench: weights  ## speed of embedding and of the head beside others; wants a quiet machine (BENCH_ARGS=, HEAD_ARGS=)
	$(OFFLINE) $(BIN)/python -m benchmarks.embedding $(BENCH_ARGS)
	$(OFFLINE) $(BIN)/python -m benchmarks.head $(HEAD_ARGS)

notebooks: weights  ## execute the notebooks at their defaults and keep the outputs for the commit
	$(OFFLINE) $(BIN)/embreg notebooks

lab: setup  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

lock: setup  ## resolve constraints.txt and environment.yml again (UPGRADE=1: newest releases)
	$(BIN)/python tools/lock.py $(if $(UPGRADE),--upgrade)

clean:  ## remove runs, built pages and caches; keep .venv and the weights
	rm -rf _build runs .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find embreg tests tools book notebooks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
