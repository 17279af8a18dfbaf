# Everything is set up from Python >= 3.11 and make: a target that needs the environment makes it first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
DEV := $(VENV)/.installed-dev
STAMP := $(DEV)
DEMO := $(VENV)/.installed-demo
DEMO_ROOT ?= demo-root
WORKERS ?= 3
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e

.PHONY: help demo test test-one test-kill record-results e2e lint format types hooks ci compile docs wheel install clean

help: ## what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'

demo: $(DEMO) ## the whole pipeline on real photographs, served on this machine
	$(BIN)/fec demo --root $(DEMO_ROOT)

test: $(DEV) ## the test suite
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow"

test-one: $(DEV) ## the tests that TEST selects, TEST='tests/fec -k boxes' say
	$(BIN)/pytest $(TEST)

test-kill: $(DEV) ## the slow tests: a run killed at many moments, the commands of the README
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m slow

record-results: $(DEV) ## what the steps make of a fixed input, after a VERSION was raised
	FEC_RECORD_RESULTS=1 $(BIN)/pytest -q tests/components/test_results.py

e2e: $(DEV) ## whole runs only
	$(BIN)/pytest tests/e2e -m "not slow"

lint: $(DEV) ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(DEV) ## put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(DEV) ## static types, strict
	$(BIN)/mypy

hooks: $(DEV) ## lint and types before every commit
	$(BIN)/pre-commit install

ci: ## everything that must hold, as CI does it on a bare Debian 12
	.ci/run

compile: $(DEV) ## fec_pipeline.yaml, for Kubeflow Pipelines: make compile REGISTRY=ghcr.io/me
	$(BIN)/fec compile -o fec_pipeline.yaml --registry "$(REGISTRY)"

docs: $(DEV) ## the documentation as a site, build/site/docs/index.html
	$(BIN)/sphinx-build -q -W --keep-going -b html -c docs . build/site

wheel: $(DEV) ## dist/*.whl
	$(BIN)/python -m build --wheel

install: $(DEV) ## the environment alone

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, found: $$($(PYTHON) --version 2>&1). Try: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(DEMO): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) '.[train,demo]'
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) '.[dev]'
	@touch $(DEMO) $@

clean: ## remove what was made
	rm -rf $(VENV) $(T2T_VENV) $(DEMO_ROOT) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache fec_pipeline.yaml

-include images/images.mk
-include pipelines/t2t/t2t.mk
