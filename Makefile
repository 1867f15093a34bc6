# make demo · make test · make check
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PYTEST_ARGS ?=

.PHONY: demo test check lint types imports report docs docs-check docs-links torture bench bench-gpu clean

demo: $(STAMP)
	$(BIN)/mien demo --out demo

test: $(STAMP)
	$(BIN)/pytest $(PYTEST_ARGS)

check: lint types imports test

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports --no-logo

# the tables of the README and of docs/, from the code and from results/
report: $(STAMP)
	$(BIN)/python tools/report.py

SPHINX := $(BIN)/python -m sphinx -W --keep-going -j auto

# the site in build/docs/html; about a minute, because the build executes the notebooks of examples/
docs: $(STAMP)
	$(SPHINX) -b html docs build/docs/html
	@echo "open build/docs/html/index.html"

# the links between pages, the code blocks of the tutorials, and the built pages
docs-check: $(STAMP)
	$(BIN)/pytest tests/test_site.py

# the links to other sites; needs a connection
docs-links: $(STAMP)
	$(BIN)/python -m sphinx -b linkcheck docs build/docs/links

# Damaged files of every kind: 100,000 inputs, about 40 minutes on one core; results/torture/fuzz.json holds the counts.
# Kills of the commands at every disk event: results/torture/kills.json. Disks of every size: results/torture/disk.json.
torture: $(STAMP)
	$(BIN)/python tools/torture_kills.py --store
	$(BIN)/python tools/torture_disk.py --store
	$(BIN)/python tools/fuzz.py --keep runs/fuzz --store

# About ten minutes on two cores without other work: results/bench/*.json, and a table at the end.
bench: $(STAMP)
	$(BIN)/python benchmarks/train_steps.py --minutes 4
	$(BIN)/python benchmarks/peers.py --minutes 3
	$(BIN)/python benchmarks/data.py --minutes 1.5
	$(BIN)/python benchmarks/inference.py --minutes 1.5
	$(BIN)/python benchmarks/decoder.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/busy.py
	$(BIN)/python benchmarks/common.py

bench-gpu: $(STAMP)
	$(BIN)/python benchmarks/gpu.py --device cuda
	$(BIN)/python benchmarks/inference.py --device cuda
	$(BIN)/python benchmarks/train_steps.py --device cuda
	$(BIN)/python benchmarks/data.py --device cuda
	$(BIN)/python benchmarks/peers.py --device cuda
	$(BIN)/python benchmarks/common.py

# uv installs the packages in about a minute. pip installs uv into the environment, so only Python is needed.
$(STAMP): pyproject.toml
	@echo "installing into $(VENV) (PyTorch and its libraries: a few GB on the first run)"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "expected Python 3.11 or newer, got " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.8"
	$(BIN)/uv pip install --python $(BIN)/python --editable ".[faces,hub,onnx,studio]" --group dev --group docs
	touch $(STAMP)

clean:
	rm -rf $(VENV) build demo docs/generated .coverage .mypy_cache .pytest_cache .ruff_cache
