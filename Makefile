# make demo · make test · make check
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: demo test check clean bench bench-gpu

demo: $(STAMP)
	$(BIN)/mien demo --out demo

test: $(STAMP)
	$(BIN)/pytest

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

# about ten minutes on two cores that do nothing else; results/bench/*.json, and a table at the end
bench: $(STAMP)
	$(BIN)/python benchmarks/train_steps.py --minutes 4
	$(BIN)/python benchmarks/peers.py --minutes 3
	$(BIN)/python benchmarks/data.py --minutes 1.5
	$(BIN)/python benchmarks/inference.py --minutes 1.5
	$(BIN)/python benchmarks/decoder.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/common.py

bench-gpu: $(STAMP)
	$(BIN)/python benchmarks/gpu.py --device cuda
	$(BIN)/python benchmarks/inference.py --device cuda
	$(BIN)/python benchmarks/train_steps.py --device cuda
	$(BIN)/python benchmarks/data.py --device cuda
	$(BIN)/python benchmarks/peers.py --device cuda
	$(BIN)/python benchmarks/common.py

# uv installs the stack in a minute; it is itself installed into the environment, so nothing else is needed
$(STAMP): pyproject.toml
	@echo "installing into $(VENV) (PyTorch and its libraries: a few GB on the first run)"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.8"
	$(BIN)/uv pip install --python $(BIN)/python --editable ".[faces,onnx]" --group dev
	touch $(STAMP)

clean:
	rm -rf $(VENV) demo
