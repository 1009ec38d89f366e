PROFILE ?= quick
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.DEFAULT_GOAL := help
.PHONY: help reproduce book publish reference env test check pytest lint campaign bench clean

help:  ## list these commands
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 12

reproduce: env  ## run a profile and build the book of its results
	$(BIN)/trajtransfer reproduce --profile $(PROFILE)
	@echo "The book:" && $(BIN)/trajtransfer book --results runs/$(PROFILE)

book: env  ## render the published results, computing nothing
	$(BIN)/trajtransfer book

publish: env  ## run a profile and make its results the published ones
	$(BIN)/trajtransfer reproduce --profile $(PROFILE) --output book/published
	$(BIN)/python -m trajtransfer.publish.readme

reference: env  ## renew the executed copies that the tests compare with
	$(BIN)/trajtransfer reproduce --profile reference --output tests/reference

env: $(READY)  ## set up .venv from the lock file

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed; name it: make PYTHON=python3.11')"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(READY)

# Both lint beside their tests: lint needs one core for long.
test: env  ## everything that CI runs
	@$(MAKE) --jobs=2 lint pytest

check: env  ## lint, types and the laws of the library: no notebook, no browser, no long training
	@$(MAKE) --jobs=2 lint pytest WHICH='-m "not slow"'

pytest: env
	$(BIN)/python -m pytest -n auto --dist loadgroup --no-loadscope-reorder $(WHICH)

lint: env  ## ruff, mypy and the layers of the modules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

campaign: env  ## a hostile trial of what is kept on disk: kills, flipped bits, bad input; a few minutes
	$(BIN)/python -m tests.campaign

bench: env  ## measure speed and memory as ratios, about half an hour (pip install -e .[bench] compares other solvers too)
	$(BIN)/python -m benchmarks

clean:  ## remove what can be made again; runs and data stay
	rm -rf .venv _build build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
