# One entry point for what CI runs; `make quick` is the short form before each commit.
PYTHON ?= python
# Tests of arithmetic gain nothing from more threads than processes can share.
JOBS ?= 2
# Not `python -m pytest`, which would import the source tree instead of what is installed.
PYTEST ?= pytest
# Names of files in archives and dates in them are those of the last change, not of the day.
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1700000000)

.PHONY: check quick format lint types test lowest requirements package audit sbom licences help

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
	$(PYTEST) -m "" -n $(JOBS)

lowest:
	.ci/lowest

requirements:
	{ sed '/^[^#]/,$$d' requirements/lowest.txt; $(PYTHON) .ci/closure.py lowest; } > requirements/lowest.new
	mv requirements/lowest.new requirements/lowest.txt

# Their tools live in an environment of their own that is gone afterwards; what they look at is
# what geoseg needs as it lies in the environment of $(PYTHON).
package:
	PYTHON=$(PYTHON) .ci/supply package

audit:
	PYTHON=$(PYTHON) .ci/supply audit

sbom:
	PYTHON=$(PYTHON) .ci/supply sbom

licences:
	$(PYTHON) .ci/closure.py licences

help:
	@echo "make check         format, lint, types and all tests, as in CI"
	@echo "make quick         the same with the fast tests alone"
	@echo "make lowest        fast tests with the lowest versions that pyproject.toml allows"
	@echo "make requirements  writes these versions anew into requirements/lowest.txt"
	@echo "make package       dist/: wheel and sdist, looked at"
	@echo "make audit         known faults in what geoseg needs, as installed here"
	@echo "                   (without a network: ADVISORIES=FOLDER-OR-ZIP of OSV's JSON)"
	@echo "make sbom          sbom.json: what geoseg needs, as installed here (CycloneDX)"
	@echo "make licences      the licence of each; fails on one that is not allowed"
