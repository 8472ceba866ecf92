# One entry point for what CI runs; `make quick` is the short form before each commit.
PYTHON ?= python
# Tests of arithmetic gain nothing from more threads than processes can share.
JOBS ?= 2
# Not `python -m pytest`, which would import the source tree instead of what is installed.
PYTEST ?= pytest

.PHONY: check quick format lint types test help

check: format lint types test

quick: format lint types
	$(PYTEST) -q -m "not slow and not qgis and not realdata" -n $(JOBS)

format:
	$(PYTHON) -m ruff format --check .

lint:
	$(PYTHON) -m ruff check .

types:
	$(PYTHON) -m mypy

test:
	$(PYTEST) -n $(JOBS)

help:
	@echo "make check   format, lint, types and all tests, as in CI"
	@echo "make quick   the same with the fast tests alone"
