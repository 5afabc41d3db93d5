# Every target installs what it needs: Python packages in .venv, Node and the npm parts beside it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTHON_READY := $(VENV)/.ready
NODE_READY := hardhat-local/node_modules/.ready
TOOLS := build/contracts/venv
TOOLS_READY := $(TOOLS)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo test up down check format clean contracts mutation bench scaling faults soak

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(PYTHON_READY) $(NODE_READY) ## the whole job on a fresh local chain, in under two minutes
	$(BIN)/adtally demo

test: $(PYTHON_READY) $(NODE_READY) ## the whole test suite
	$(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder tests --ignore tests/e2e
	$(BIN)/pytest -q -n 2 --dist loadfile tests/e2e

up: $(PYTHON_READY) $(NODE_READY) ## the service on a local chain; state in var/, continues after a restart
	$(BIN)/adtally up --local-chain

down: $(PYTHON_READY) ## end the local chain that "make up" leaves running; its state stays in var/
	$(BIN)/adtally up --stop-local-chain

check: $(PYTHON_READY) $(NODE_READY) ## format, lint, types, import direction, Solidity lint
	$(BIN)/ruff format --check backend tests scripts
	$(BIN)/ruff check backend tests scripts
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd hardhat-local && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent lint

format: $(PYTHON_READY) ## format the Python code
	$(BIN)/ruff format backend tests scripts
	$(BIN)/ruff check --fix backend tests scripts

contracts: $(PYTHON_READY) $(NODE_READY) $(TOOLS_READY) ## gas, coverage, invariants, static and symbolic analysis
	$(BIN)/python -m scripts.contracts report

mutation: $(PYTHON_READY) $(NODE_READY) $(TOOLS_READY) ## do the tests notice changed contracts? takes hours, goes on where it was
	$(BIN)/python -m scripts.contracts mutation $(if $(MINUTES),--minutes $(MINUTES))

bench: $(PYTHON_READY) ## rates of intake against the machine's limits, the naive way and Tessera; wants two quiet cores
	$(BIN)/python -m scripts.bench

scaling: $(PYTHON_READY) ## days of many logs, from measured costs: the tables of docs/SCALING.md
	$(BIN)/python -m scripts.scaling

faults: $(PYTHON_READY) ## kills, lost power, failing disks, flipped bits, crowds: is everything promised still there?
	$(BIN)/python -m scripts.faults

soak: $(PYTHON_READY) $(NODE_READY) ## ten minutes of mixed traffic on a whole deployment: does it stay as it is?
	$(BIN)/python -m scripts.soak $(if $(MINUTES),--minutes $(MINUTES))

clean: ## remove everything that was built or installed (never var/)
	rm -rf $(VENV) build hardhat-local/node_modules

$(PYTHON_READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements.lock
	@# It says that it needs Python 3.12 and runs on 3.11 as well; tests read our log with it.
	$(BIN)/pip install --quiet --no-deps --ignore-requires-python aics-tlog==0.2.1
	$(BIN)/pip install --quiet --no-deps --editable .
	@touch $@

$(NODE_READY): hardhat-local/package-lock.json $(PYTHON_READY)
	cd hardhat-local && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# Slither and halmos want other versions of web3 and eth-abi than adtally.
$(TOOLS_READY): requirements-contracts.lock $(PYTHON_READY)
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --requirement requirements-contracts.lock
	@touch $@
