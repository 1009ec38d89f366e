PROFILE ?= quick
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: reproduce book publish reference env test lint bench clean

reproduce: env  ## run a profile and build the book of its results
	$(BIN)/trajtransfer reproduce --profile $(PROFILE)
	@echo "The book:" && $(BIN)/trajtransfer book --results runs/$(PROFILE)

book: env  ## render the published results, computing nothing
	$(BIN)/trajtransfer book

publish: env  ## run a profile and make its results the published ones
	$(BIN)/trajtransfer reproduce --profile $(PROFILE) --output book/published

reference: env  ## renew the executed copies that the tests compare with
	$(BIN)/trajtransfer reproduce --profile quick --output tests/reference

env: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed; name it: make PYTHON=python3.11')"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(READY)

test: lint
	$(BIN)/python -m pytest

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: env  ## measure speed and memory as ratios, about half an hour (pip install -e .[bench] compares other solvers too)
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv _build build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
