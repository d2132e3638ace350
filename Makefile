# The same commands for people and for CI. Everything goes into .venv; a second run is quick.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check bench bench-report clean

demo: $(VENV)/.installed
	$(BIN)/soloist demo

# The live tests run against real sound servers; the script installs them where it may.
test: $(VENV)/.installed-dev
	tools/install-audio-servers
	tools/install-browser
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	PATH="$(CURDIR)/$(BIN):$$PATH" tools/typecheck
	$(BIN)/lint-imports

bench: $(VENV)/.installed
	$(BIN)/soloist bench $(ARGS)

# The report in docs/, on a machine that does nothing else: 85 s of each setting are blocks enough to
# say what p99.99 is. Takes a quarter of an hour; SECONDS=5 is for trying it out.
SECONDS ?= 85
LABEL ?= $(shell uname -m), $(shell nproc) cores
bench-report: $(VENV)/.installed
	$(BIN)/soloist bench --seconds $(SECONDS) --device all --precision int8,fp32 --queries 1,4 \
		--fit p99.9 --label "$(LABEL)" --json docs/bench.json --html docs/bench.html
	tools/screenshot docs/bench.html docs/bench.png

clean:
	rm -rf $(VENV) build soloist.egg-info soloist-demo .mypy_cache .pytest_cache .ruff_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# Editable: what `git pull` brings is used at once, and no build/ is left inside the package.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing Soloist into $(VENV): about half a gigabyte, mostly ONNX Runtime."
	$(BIN)/pip install --quiet --editable .
	@touch $@

# tests/constraints.txt pins torch; it says why.
$(VENV)/.installed-dev: pyproject.toml tests/constraints.txt | $(BIN)/python
	@echo "Installing Soloist, torch and the test tools into $(VENV): a few minutes."
	$(BIN)/pip install --quiet --constraint tests/constraints.txt --editable ".[dev,train]"
	@touch $@ $(VENV)/.installed
