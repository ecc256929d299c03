# The only way in. `make help` lists what there is.

PYTHON ?= python3
# Tests are isolated: any number of processes may run them. 0: this one alone.
WORKERS ?= 2
PYTEST ?=
LINT ?= lint

VENV := .venv
# -qq: errors only; warnings about where pip looks on this machine are nobody's business here.
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check -qq
COMPILE := .cache/lock/bin/pip-compile -q --generate-hashes --strip-extras --allow-unsafe \
	--no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	--no-emit-options --build-deps-for=editable

.PHONY: help demo test lint format bench soak lock clean
.DEFAULT_GOAL := help

help: ## shows this list
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; \
		do printf '  make %-8s %s\n' "$$name" "$$text"; done

demo: $(VENV)/.run ## a weekend of eight mailboxes and three accounts in a minute and a half; needs no root, no network
	@$(VENV)/bin/python -m mailhaul.lab.demo

test: $(VENV)/.dev $(LINT) ## everything that CI runs; as root also installs the servers it needs
	@$(VENV)/bin/python -m tests.servers.install
	@$(VENV)/bin/python -m pytest $(if $(filter-out 0,$(WORKERS)),-n $(WORKERS) --dist worksteal) $(PYTEST)

lint: $(VENV)/.dev ## ruff and mypy --strict
	@$(VENV)/bin/ruff check -q
	@$(VENV)/bin/ruff format -q --check
	@$(VENV)/bin/mypy

format: $(VENV)/.dev ## formats the code
	@$(VENV)/bin/ruff check -q --fix
	@$(VENV)/bin/ruff format -q

bench: $(VENV)/.dev ## speed and memory beside a floor and mbsync
	@$(VENV)/bin/python -m tests.servers.install
	@$(VENV)/bin/python -m bench $(BENCH)

soak: $(VENV)/.dev ## the tests that kill and cut, with many more rounds
	@$(VENV)/bin/python -m tests.servers.install
	@MAILHAUL_SOAK=1 $(VENV)/bin/python -m pytest -m soak --timeout 0 $(PYTEST)

lock: ## writes requirements/*.txt anew from pyproject.toml
	@test -x .cache/lock/bin/pip-compile || { $(PYTHON) -m venv .cache/lock && \
		.cache/lock/bin/python -m pip --disable-pip-version-check -q install pip-tools; }
	@$(COMPILE) --extra demo -o requirements/run.txt pyproject.toml
	@$(COMPILE) --extra demo --extra dev -c requirements/run.txt -o requirements/dev.txt pyproject.toml

clean: ## removes what make has made here
	@rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache

# Debian's python3 may come without venv. Root installs it; others are told how.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "mailhaul needs Python 3.11 or newer, and $(PYTHON) is older or missing; try make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		echo "installing python3-venv" && apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends python3-venv >/dev/null 2>&1; } || { \
		echo "$(PYTHON) can't make virtual environments; as root: apt-get install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing mailhaul in $(VENV)"
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing mailhaul and what its tests need in $(VENV)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --no-index -e .
	@touch $@ $(VENV)/.run
