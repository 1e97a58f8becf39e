# The commands of the project. `make run` and `make test` need nothing but Python 3.11 or later.
PYTHON ?= python3
BIN := .venv/bin
OUT ?= runs/countdown

.PHONY: run test lint venv clean

run: venv
	$(BIN)/ratchet run countdown --out $(OUT)

test: venv lint
	$(BIN)/python -m pytest

lint: venv
	$(BIN)/ruff check ratchet tests examples
	$(BIN)/pyright

venv: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[hf,dev]'
	touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache
