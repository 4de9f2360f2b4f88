# Everything that is done with this repository. `make` alone lists it.
# The first target called makes the virtual environment .venv; nothing is installed elsewhere,
# apart from pip's cache and the Debian packages that `make conformance` and `make torture` name.

PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; \
	done || echo python3)

BIN := .venv/bin
NODE := tests/conformance/node
FORMATTED := vault cli tests demo bench

# A failed or interrupted recipe leaves no target that looks made.
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help demo test check lint types conformance torture fuzz wheel format constraints clean distclean

# How many kill points `make torture` tries; the rest follows in proportion.
N ?= 2000

# How long `make fuzz` keeps at each parser.
SECONDS_EACH ?= 60

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

help:
	@echo "make demo         seal real files, verify them, open them, and see one flipped byte found"
	@echo "make test         run the tests"
	@echo "make check        run what a change must pass: format, lint, types, tests, coverage"
	@echo "make conformance  hold the formats against other implementations (Debian, npm, PyPI)"
	@echo "make torture      kill, cut, fill and rot vaults (N=2000, an hour; N=20, a quarter; see docs/reliability.md)"
	@echo "make fuzz         hostile input for every parser (SECONDS_EACH=60; Linux x86-64)"
	@echo "make wheel        build the wheel into dist/ and look inside"
	@echo "make format       put the code into its one format"
	@echo "make constraints  take the newest release of every dependency into constraints.txt"
	@echo "make clean        remove what was built (distclean: the environment too)"

# --- set-up: once, and again when a file that it depends on changes ---------------------------

.venv/ready: pyproject.toml constraints.txt tools/environment
	@echo "Setting up .venv (once; about a minute)"
	@tools/environment "$(PYTHON)" .venv
	@$(BIN)/python -m pip --quiet install --constraint constraints.txt --editable '.[dev]'
	@touch $@

.venv/ready-conformance: .venv/ready
	@$(BIN)/python -m pip --quiet install --constraint constraints.txt --editable '.[dev,conformance]'
	@touch $@

.venv/ready-fuzz: .venv/ready
	@$(BIN)/python -m pip --quiet install --constraint constraints.txt --editable '.[dev,fuzz]'
	@touch $@

$(NODE)/node_modules/.ready: $(NODE)/package.json $(NODE)/package-lock.json
	@command -v node >/dev/null || tools/need nodejs
	@command -v npm >/dev/null || tools/need npm
	@cd $(NODE) && npm ci --silent --no-audit --no-fund </dev/null
	@touch $@

# --- what a newcomer does ---------------------------------------------------------------------

demo: .venv/ready
	@$(BIN)/python -m demo

# Coverage is measured here so that `check` need not run the tests a second time.
test: .venv/ready
	@$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal --cov --cov-report= --cov-fail-under=0

# --- what a change must pass ------------------------------------------------------------------

# Each package is held to the bound by itself: a well-tested library can't hide an untested rim.
check: lint types test
	@$(BIN)/python -m coverage report --include='vault/*'
	@$(BIN)/python -m coverage report --include='cli/*'

lint: .venv/ready
	@$(BIN)/ruff format --check --quiet --diff $(FORMATTED)
	@$(BIN)/ruff check --quiet $(FORMATTED)

types: .venv/ready
	@$(BIN)/mypy

conformance: .venv/ready-conformance $(NODE)/node_modules/.ready
	@tools/need golang-golang-x-mod-dev tar
	@$(BIN)/python -m pytest --numprocesses=auto --dist=worksteal -m conformance

# File systems to fill up are made in files and mounted, which needs root.
torture: .venv/ready
	@tools/need strace e2fsprogs xfsprogs exfatprogs exfat-fuse
	@$(BIN)/python -m tests.crash.torture --scale $(N) $(if $(SEED),--seed $(SEED))

fuzz: .venv/ready-fuzz
	@$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS_EACH) $(if $(SEED),--seed $(SEED))

wheel: .venv/ready
	@rm -rf dist
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist . >/dev/null
	@$(BIN)/python -m pytest --quiet tests/project/test_wheel.py --wheel dist/*.whl
	@$(BIN)/python -m zipfile --list dist/*.whl

# --- housekeeping -----------------------------------------------------------------------------

format: .venv/ready
	@$(BIN)/ruff format --quiet $(FORMATTED)
	@$(BIN)/ruff check --quiet --fix $(FORMATTED)

# One set of versions for every machine, so that a new release elsewhere can't break an old clone.
# The package itself takes any version from pyproject.toml's lower bounds on.
constraints:
	@rm -rf .venv
	@tools/environment "$(PYTHON)" .venv
	@$(BIN)/python -m pip --quiet install --editable '.[dev,conformance,fuzz]'
	@$(BIN)/python -m pip freeze --exclude-editable --exclude pip --exclude setuptools >constraints.txt
	@touch .venv/ready .venv/ready-conformance .venv/ready-fuzz

# demo/vault-demo stays: someone may have put more into it than the demonstration did.
clean:
	@rm -rf build dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find $(FORMATTED) -type d -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	@rm -rf .venv $(NODE)/node_modules
