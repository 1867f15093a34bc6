# make demo · make test · make check
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: demo test check clean

demo: $(STAMP)
	$(BIN)/mien demo --out demo

test: $(STAMP)
	$(BIN)/pytest

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

# uv installs the stack in a minute; it is itself installed into the environment, so nothing else is needed
$(STAMP): pyproject.toml
	@echo "installing into $(VENV) (PyTorch and its libraries: a few GB on the first run)"
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.8"
	$(BIN)/uv pip install --python $(BIN)/python --editable ".[faces]" --group dev
	touch $(STAMP)

clean:
	rm -rf $(VENV) demo
