# Every target does its own set-up. ARGS are passed on: make up ARGS="--nodes 3"
VENV := .venv
# Tests start programs a thousand times: they are compiled once, whatever the environment says.
export PYTHONDONTWRITEBYTECODE :=
PYTHON ?= python3
ARGS ?=
# Files of tests run three at a time, those that take longest first: they stand first.
SIDE_BY_SIDE := -n 3 --dist loadfile --no-loadscope-reorder
# The bound on coverage is for all of it together, at the end.
MEASURED := --durations 30 --cov --cov-report= --cov-fail-under 0

.PHONY: up nginx test test-fast test-deploy lint types bench chaos docs clean
.DEFAULT_GOAL := up

# The main job: a redirector and two nodes with real Jupyter servers, on loopback. The shell gives way to the program,
# so that it is make's own child: signals to make reach it, and it notices when make is killed.
up: nginx $(VENV)/.run
	@exec $(VENV)/bin/tmpnb up --until-parent-ends $(ARGS)

# First of all, so that nobody waits for an installation only to hear that root is needed.
nginx:
	@scripts/ensure-nginx

test: nginx $(VENV)/.test
	$(VENV)/bin/python -m pytest $(SIDE_BY_SIDE) $(MEASURED) -m "not (deploy or docker)" $(ARGS)
# One after the other: some of them restart an engine, or count all that it holds. pytest's 5 says that there were none.
	$(VENV)/bin/python -m pytest $(MEASURED) --cov-append -m "docker and not deploy" $(ARGS) || [ $$? = 5 ]
	$(VENV)/bin/coverage report

# For the one who changes a line: what starts no program, no engine and no browser, and waits for nothing.
test-fast: $(VENV)/.test
	$(VENV)/bin/python -m pytest -q $(SIDE_BY_SIDE) -m "not (live or docker or browser or e2e or deploy or postgres or silence or slow)" $(ARGS)

# What is shipped in deploy/, as it is meant to be used: images, compose files, units, TLS. Needs a Docker Engine.
test-deploy: $(VENV)/.test
	$(VENV)/bin/python -m pytest -m deploy tests/deploy $(ARGS)

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.test
	$(VENV)/bin/mypy redirector node_agent tmpnb_common tests

bench: nginx $(VENV)/.test
	$(VENV)/bin/python -m tests.bench $(ARGS)

# Faults on a fleet with visitors, and what they lose: make chaos ARGS="--minutes 10 --seed 7"
chaos: nginx $(VENV)/.test
	$(VENV)/bin/python -m tests.chaos $(ARGS)

# The settings' reference and the APIs' descriptions, from the tables that the programs read.
docs: $(VENV)/.run
	$(VENV)/bin/python -m scripts.settings_reference >docs/settings.md.new
	mv docs/settings.md.new docs/settings.md
	$(VENV)/bin/python -m scripts.openapi

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .coverage

$(VENV)/bin/pip: constraints.txt
	@scripts/make-venv $(VENV) $(PYTHON)
	@touch $@

$(VENV)/.run: $(VENV)/bin/pip pyproject.toml
	@echo "installing into $(VENV), which takes a minute or two"
	@$(VENV)/bin/pip install -q -c constraints.txt -e '.[sandbox,postgres]'
	@touch $@

$(VENV)/.test: $(VENV)/.run pyproject.toml scripts/get-page-clients
	@$(VENV)/bin/pip install -q -c constraints.txt --group test --group lint --group typing
	@scripts/get-page-clients $(VENV)/page-clients
	@touch $@
