# make train   install, then the six classic steps on MNIST         make test    the whole test suite
# make lint    formatting, lint and types                            make bench   the benchmarks behind the README
# A recipe reads: what is needed for it is set up first, in .venv, whenever pyproject.toml or constraints.txt changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Extras on top of what the tests need; EXTRAS=torch adds the PyTorch back end to them.
EXTRAS ?=
TESTS ?=
comma := ,

.PHONY: train test lint format bench clean

train: $(VENV)/.installed
	$(BIN)/mnistry train

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(TESTS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/train_speed.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mnistry needs Python 3.11 or newer: make train PYTHON=python3.12, say"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing mnistry into $(VENV) (once; about a minute) ..."
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.created pyproject.toml constraints.txt
	@echo "Installing mnistry and what its tests need into $(VENV) (once; a few minutes) ..."
	@$(PIP) install --constraint constraints.txt --editable '.[dev$(if $(EXTRAS),$(comma)$(EXTRAS))]'
	@touch $@ $(VENV)/.installed
