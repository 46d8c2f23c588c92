.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
SOURCES := domain projections ledger api replay tallystick tests bench

.PHONY: help setup run demo test check format lint types layers dependencies audit bench soak reference lock clean

help: ## what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: .venv/.complete ## create .venv with everything that is needed; does nothing when nothing changed

.venv/.complete: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Tallystick needs Python 3.11 or newer; $(PYTHON) is older. Say which: make PYTHON=python3.12 setup"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "This Python has no venv. On Debian and Ubuntu: apt install python3-venv; on Fedora it is part of python3."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the packages of requirements.lock into .venv (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## start everything: database, provider simulator, API, projector, workers
	@$(BIN)/tallystick serve

demo: setup ## play a seeded day through the real API and print what happened
	@$(BIN)/tallystick demo

test: setup ## every test, against a real embedded database
	@$(BIN)/python -m pytest -n 3 --dist worksteal

check: setup lint types layers dependencies test ## what CI runs

format: setup ## rewrite the code in the project's format
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

lint: setup
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)

types: setup
	@$(BIN)/mypy

layers: setup
	@$(BIN)/lint-imports --no-cache

dependencies: setup
	@$(BIN)/deptry .

audit: setup ## known vulnerabilities in the locked packages (asks a public service)
	@$(BIN)/pip-audit --require-hashes --disable-pip -r requirements.lock

bench: setup ## every benchmark, one after the other
	@for file in bench/*.py; do case $$file in */__init__.py|*/_*.py) ;; *) $(BIN)/python $$file || exit 1;; esac; done

soak: setup ## the long runs: more kills, more examples
	@HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -m "soak or not soak" --timeout 0 -p no:randomly tests/property tests/faults tests/acceptance
	@$(BIN)/python -m pytest -m soak --timeout 0 -p no:randomly tests/integration

reference: setup ## make the tables in docs/ anew from the code
	@$(BIN)/python -m tallystick.reference --write

lock: ## make requirements.lock anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --extra dev --extra cluster pyproject.toml --output-file requirements.lock

clean: ## remove what `make setup` created
	@rm -rf .venv
