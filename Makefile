# The commands of the project. `make run` and `make test` need nothing but Python 3.11 or later.
PYTHON ?= python3
BIN := .venv/bin
OUT ?= runs/countdown

.PHONY: run test lint venv clean bench bench-peers parity

run: venv
	$(BIN)/ratchet run countdown --out $(OUT)

test: venv lint
	$(BIN)/python -m pytest

lint: venv
	$(BIN)/ruff check ratchet tests examples benchmarks
	$(BIN)/pyright

venv: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[hf,dev]'
	touch $@

# Ours against its peers, about an hour on two quiet cores; results go to benchmarks/results and docs/performance.md.
bench: venv
	$(BIN)/python -m benchmarks.sampling
	$(BIN)/python -m benchmarks.sampling --precision bfloat16
	$(BIN)/python -m benchmarks.grpo_step
	$(BIN)/python -m benchmarks.imitation
	$(BIN)/python -m benchmarks.steps
	$(BIN)/python -m benchmarks.attention
	$(BIN)/python -m benchmarks.choices
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.sandboxes
	$(BIN)/python -m benchmarks.table

# The peers need versions of their own (2.8 GB). As installed, vLLM's CPU build fails on the four that are taken out.
bench-peers:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --requirement benchmarks/peers.txt
	.venv-peers/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec triton
	.venv-peers/bin/python -m pip install --quiet --editable .

# The golden values of the learning methods, from TRL's and verl's own functions (about 2 GB). pip warns of what verl would need
# to train; its formulas need none of that.
parity:
	$(PYTHON) -m venv .venv-parity
	.venv-parity/bin/python -m pip install --quiet --requirement benchmarks/parity.txt
	.venv-parity/bin/python -m pip install --quiet --no-deps verl==0.9.1
	.venv-parity/bin/python -m benchmarks.parity_policy

clean:
	rm -rf .venv .venv-peers .venv-parity .pytest_cache .ruff_cache
