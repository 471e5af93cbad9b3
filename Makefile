# SPDX-License-Identifier: Apache-2.0
# What people run, and what CI runs. Every target sets up what it needs (tools/setup).

BIN := .venv/bin
SUDO := $(shell [ "$$(id -u)" -eq 0 ] || echo sudo)
ARGS ?=
# Two tests at a time: they start real proxies.
WORKERS ?= 2

.PHONY: run down test fuzz check format bench docs golden lock setup databases

run: setup
	@exec $(SUDO) $(BIN)/ottava up --demo $(ARGS)

down: setup
	@$(SUDO) $(BIN)/ottava down $(ARGS)

test: databases
	@tools/setup --keystone
	$(SUDO) $(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

# The tests that try things at random, for longer: TIMES as many attempts as in `make test`.
TIMES ?= 50

fuzz: setup
	FUZZ=$(TIMES) $(BIN)/python -m pytest tests/property/test_api_decoders.py tests/api/test_api_hostile.py \
		tests/api/test_api_tree.py tests/api/test_api_openapi.py $(ARGS)

check:
	@tools/setup --python
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/gates.py
	$(BIN)/python tools/docs.py --check

format:
	@tools/setup --python
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: databases
	@for file in benchmarks/bench_*.py; do $(SUDO) $(BIN)/python $$file $(ARGS) || exit 1; done

docs:
	@tools/setup --python
	$(BIN)/python tools/docs.py

golden:
	@tools/setup --python
	UPDATE_GOLDEN=1 $(BIN)/python -m pytest tests/unit/test_translate_golden.py

lock:
	@tools/setup --python
	@tools/setup --keystone
	$(BIN)/python tools/lock.py

setup:
	@tools/setup

databases:
	@tools/setup --databases
