# On a machine with only Python and make: `make demo` trains and validates, `make test` tests.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/digits
RECIPE := configs/convit/convit_tiny_digits.yaml

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all test-version bench lint docs clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/installed ## make the environment .venv and install the package into it

# Editable, so that the environment never holds an older copy of the code beside it.
$(VENV)/installed: pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null || { \
		echo "make: Python 3.10, 3.11 or 3.12 is needed, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -n 1);" \
			"name another one, as in: make $(or $(MAKECMDGOALS),venv) PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --no-input -e '.[test]' $(MINDSPORE:%=mindspore==%)
	@touch $@

demo: venv ## train convit_tiny on real handwritten digits, validate it and look inside, on a CPU
	rm -rf $(DEMO)
	$(BIN)/python train.py --config $(RECIPE) --ckpt_save_dir $(DEMO)
	$(BIN)/python validate.py --config $(RECIPE) --ckpt_path $(DEMO)/best.ckpt
	$(BIN)/mindcv insight $(DEMO)/best.ckpt --out $(DEMO)/pictures >/dev/null
	@echo "Where its heads look: $(DEMO)/pictures/attention.png, and more pictures beside it"

test: venv ## the tests, two files at a time
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile --no-loadscope-reorder $(PLUGIN:%=-p %)

test-all: venv ## the tests and their long forms
	$(BIN)/python -m pytest

LEG = .venv-$(MINDSPORE)-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
test-version: ## the tests with another MindSpore and Python: make test-version MINDSPORE=2.7.0 PYTHON=python3.10
	@[ -n '$(MINDSPORE)' ] || { echo "make: name a version, as in: make $@ MINDSPORE=2.7.0 PYTHON=python3.10" >&2; exit 1; }
	$(MAKE) test VENV='$(LEG)' PLUGIN=tools.tested_versions

lint: venv ## the style and type checks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: venv ## speed beside peers, those that are named: make bench MINDCV=DIR TIMM=PYTHON
	$(BIN)/python benchmarks/speed.py $(if $(MINDCV),--mindcv $(MINDCV)) $(if $(TIMM),--timm $(TIMM)) --json benchmarks/results/speed.json
	$(BIN)/python benchmarks/first_step.py $(if $(MINDCV),--mindcv $(MINDCV)) --turns 3 --json benchmarks/results/first_step.json
	$(BIN)/python benchmarks/inference.py $(if $(TIMM),--timm $(TIMM)) --json benchmarks/results/inference.json
	$(BIN)/python benchmarks/growth.py $(if $(TIMM),--timm $(TIMM)) --json benchmarks/results/growth.json
	$(BIN)/python benchmarks/loader.py $(if $(MINDCV),--mindcv $(MINDCV)) --json benchmarks/results/loader.json

docs: venv ## the guide as a web site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo 'open site/index.html'

clean: ## remove the environments and what building left; runs/ stays
	rm -rf .venv .venv-* build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
