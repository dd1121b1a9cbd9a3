# `make demo`, `make check` and `make ui` start from nothing but Python, make and git.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed

.PHONY: install demo check test test-slow ui lint types docs bench format clean

install: $(READY)

# The lock holds exact versions; PIP_ARGS passes more to pip, as in PIP_ARGS="--index-url ...".
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"lt4rec needs Python 3.11 or newer, this is {sys.version.split()[0]}; say make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

demo: $(READY)
	$(BIN)/lt4rec demo

ui: $(READY)
	$(BIN)/lt4rec ui

# What must hold before anything lands: format, lint, SQL, types, documents and tests, all but the slow ones.
check: $(READY) lint types test

# Two processes; files stay whole, so that what a file shares is made once. Documents are among the tests.
test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The real server, kills and a browser; needs chromium and chromedriver.
test-slow: $(READY)
	$(BIN)/python -m pytest -m slow tests/slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfluff lint --quiet sql

types: $(READY)
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --quiet sql

# What is written from the code: docs/TABLES.md, from the headers of sql/.
docs: $(READY)
	$(BIN)/python -m lt4rec_assets.tables_page

bench: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache *.egg-info
