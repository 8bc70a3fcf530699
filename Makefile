# `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
OUT ?= out
# Of the network to train, and how long beside the configuration's iterations.
SIZE ?= default
LENGTH ?= 1.0
SIZES := small default large point_wise
NETWORK_small := --set 'network={width: 112, depth: 3, diagnostic_width: 112, diagnostic_depth: 2}'
# The trunk of aiLand v1.
NETWORK_large := --set 'network={width: 512, depth: 6, diagnostic_width: 256, diagnostic_depth: 3}'
# anemoi's shape with about as many parameters as the default; soil heat and frost are layer_norm's.
NETWORK_point_wise := --set 'network={architecture: point_wise, channels: 128, layers: 2}' \
  --set variables.soil_heat=false --set variables.soil_water=false
COUNT ?= 10000
SEED ?= 0
EXAMPLE := examples/column_run/ecland_columns.nc

ICON4PY_PYTHON ?= python3.12
ICON4PY_VENV ?= .venv-icon4py
ANEMOI_VENV ?= .venv-anemoi
DOCS_VENV ?= .venv-docs
LOWEST_PYTHON ?= python3.11
LOWEST_VENV ?= .venv-lowest

.PHONY: help install run compile test test-studies test-quick test-icon4py test-anemoi test-wheel test-lowest extras example-figure fuzz lint types bench bench-land bench-derivatives bench-large bench-run coupled-run gpu notebooks train evaluate docs clean

help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 14

$(BIN)/ailand: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.test: $(BIN)/ailand
	$(BIN)/python -m pip install --quiet --editable '.[dev,grib,mpi,dask]'
	# Training tests need PyTorch; a processor build is on the index for Python 3.11 here, elsewhere they are skipped.
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then \
	  $(BIN)/python -m pip install --quiet torch==2.13.0 || echo "PyTorch was not installed: its tests are skipped"; fi
	@touch $@

install: $(BIN)/ailand ## make a virtual environment and install the package

run: $(BIN)/ailand ## run the example: forcing in, states and fluxes out, score table and figure
	@mkdir -p $(OUT)
	$(BIN)/ailand-column-run $(EXAMPLE) --reference $(EXAMPLE) --output $(OUT)/ailand_columns.nc --overwrite \
	  --plot $(OUT)/ailand_columns.png --at 61.9,33.5

compile: $(BIN)/ailand ## compile the model that ships ahead of time (MODEL=FILE: another one)
	$(BIN)/ailand compile $(MODEL)

test: $(VENV)/.test ## run all tests but the studies
	# In the order of their directories: files of few long tests are not the last.
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder -m "not study"

test-studies: $(VENV)/.test ## run the tests that look at the model that ships, minutes each
	$(BIN)/python -m pytest --numprocesses auto --dist load -m study

test-quick: $(VENV)/.test ## run the tests that need no long compilation
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile -m "not slow and not study"

$(ICON4PY_VENV)/.test: pyproject.toml
	$(ICON4PY_PYTHON) -m venv $(ICON4PY_VENV)
	$(ICON4PY_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(ICON4PY_VENV)/bin/python -m pip install --quiet --editable '.[test,icon4py]'
	@touch $@

test-icon4py: $(ICON4PY_VENV)/.test ## run the tests with ICON4Py, in an environment of their own (ICON4PY_PYTHON: Python >= 3.12)
	$(ICON4PY_VENV)/bin/python -m pytest tests/icon4py

$(ANEMOI_VENV)/.test: pyproject.toml tests/anemoi/packages.txt tests/anemoi/needs.txt
	$(PYTHON) -m venv $(ANEMOI_VENV)
	$(ANEMOI_VENV)/bin/python -m pip install --quiet --upgrade pip
	# As above; anemoi's packages for training ask for an older PyTorch, and run with this one.
	@if $(ANEMOI_VENV)/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then \
	  $(ANEMOI_VENV)/bin/python -m pip install --quiet torch==2.13.0; fi
	$(ANEMOI_VENV)/bin/python -m pip install --quiet --editable '.[test,anemoi,mpi]' --requirement tests/anemoi/needs.txt
	$(ANEMOI_VENV)/bin/python -m pip install --quiet --no-deps --requirement tests/anemoi/packages.txt
	@touch $@

test-anemoi: $(ANEMOI_VENV)/.test ## run the tests with anemoi's data sets, training and inference, in an environment of their own
	$(ANEMOI_VENV)/bin/python -m pytest tests/unit/test_training_sources.py tests/unit/test_grib.py tests/anemoi

test-wheel: ## build sdist and wheel, install the wheel alone, and use it outside the repository: all that a stranger does
	# As above: where PyTorch is not to be had, the toy is not trained.
	@torch=; if $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then torch="--torch torch==2.13.0"; fi; \
	  set -x; $(PYTHON) tools/check_wheel.py $$torch

extras: $(BIN)/ailand ## resolve all extras on all supported Pythons and write docs/dependencies.md
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/python tools/check_extras.py --output docs/dependencies.md

$(LOWEST_VENV)/.test: pyproject.toml $(BIN)/ailand
	$(BIN)/python -m pip install --quiet uv
	$(LOWEST_PYTHON) -m venv $(LOWEST_VENV)
	$(BIN)/python tools/check_extras.py --lowest $(LOWEST_VENV)/requirements.txt
	$(LOWEST_VENV)/bin/python -m pip install --quiet --upgrade pip
	$(LOWEST_VENV)/bin/python -m pip install --quiet --requirement $(LOWEST_VENV)/requirements.txt --editable .
	@touch $@

test-lowest: $(LOWEST_VENV)/.test ## run the quick unit tests with the oldest dependencies that are allowed (LOWEST_PYTHON: python3.11)
	$(LOWEST_VENV)/bin/python -m pytest --numprocesses auto --dist loadfile -m "not slow and not study" tests/unit

example-figure: $(BIN)/ailand ## draw the figure of the README: docs/example.png
	@mkdir -p $(OUT)
	$(BIN)/ailand-column-run $(EXAMPLE) --reference same --end 2021-01-01 --output $(OUT)/example_figure.nc --overwrite \
	  --plot $(OUT)/example.png --at 61.9,33.5
	# On a page it is small, and of few colours.
	$(BIN)/python -c "from PIL import Image; image = Image.open('$(OUT)/example.png').convert('RGB'); \
	  image.resize([2 * n // 3 for n in image.size]).quantize(128).save('docs/example.png', optimize=True)"

coupled-run: $(ICON4PY_VENV)/.test ## a day of ICON4Py with its dynamical core and aiLand; compiles for some twenty minutes the first time
	@mkdir -p $(OUT)
	GT4PY_BUILD_CACHE_LIFETIME=persistent GT4PY_BUILD_CACHE_DIR=$(abspath $(OUT)) \
	  $(ICON4PY_VENV)/bin/ailand-icon4py-run --grid R2B3 --hours 24 --grids $(OUT) \
	  --output $(OUT)/coupled_run.nc --plot $(OUT)/coupled_run.png

fuzz: $(VENV)/.test ## try COUNT damaged and hostile inputs, kills and damaged caches: table in OUT (SEED: others)
	@mkdir -p $(OUT)
	$(BIN)/python -m tests.fuzz --count $(COUNT) --seed $(SEED) -o $(OUT)/fuzz.md
	$(BIN)/python tests/fuzz/kill_runs.py
	$(BIN)/python tests/fuzz/damage_cache.py
	$(BIN)/python -m pytest --numprocesses auto --hypothesis-profile=explore --hypothesis-seed=random -m "not study" \
	  $$(grep -rl --include='test_*.py' 'from hypothesis' tests)

$(DOCS_VENV)/.docs: pyproject.toml
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --upgrade pip
	# As above: notebooks and the API of training need PyTorch.
	@if $(DOCS_VENV)/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then \
	  $(DOCS_VENV)/bin/python -m pip install --quiet torch==2.13.0; fi
	$(DOCS_VENV)/bin/python -m pip install --quiet --editable '.[docs,training]'
	@touch $@

docs: $(DOCS_VENV)/.docs ## build the site in OUT/site, notebooks run, without a warning or a dead link, and run its doctests
	# Pages know where links of others led when they were read; notebooks have a cache of their own.
	rm -rf $(OUT)/site $(OUT)/doctrees
	# The kernel that runs notebooks is found on the path.
	PATH=$(abspath $(DOCS_VENV))/bin:$$PATH $(DOCS_VENV)/bin/python -m sphinx -b html -W --keep-going -n -q \
	  -d $(OUT)/doctrees docs $(OUT)/site
	$(DOCS_VENV)/bin/python docs/_ext/check_links.py $(OUT)/site
	PATH=$(abspath $(DOCS_VENV))/bin:$$PATH $(DOCS_VENV)/bin/python -m sphinx -b doctest -W --keep-going -n -q \
	  -d $(OUT)/doctrees docs $(OUT)/doctest
	@echo "The site: $(OUT)/site/index.html"

notebooks: $(DOCS_VENV)/.docs ## execute the notebooks from an empty cache, figures in OUT/notebook_figures; at most 5 minutes of one core
	PATH=$(abspath $(DOCS_VENV))/bin:$$PATH $(DOCS_VENV)/bin/python tools/run_notebooks.py --keep $(OUT)/notebook_figures

lint: $(VENV)/.test ## check style and the order of imports
	$(BIN)/lint-imports
	$(BIN)/ruff check src tests examples studies tools docs
	$(BIN)/ruff format --check src tests examples studies tools docs

types: $(VENV)/.test ## check types
	$(BIN)/mypy

bench: $(VENV)/.test ## run the benchmarks, this component and its peers, and write docs/benchmarks
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@mkdir -p $(OUT) docs/benchmarks
	# Where these are set, they keep OpenBLAS, a rival, from its best kernels.
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python -m pytest tests/benchmarks \
	  --benchmark-enable --benchmark-only --benchmark-json=$(OUT)/benchmark.json
	$(BIN)/python tests/benchmarks/report.py $(OUT)/benchmark.json docs/benchmarks

gpu: ## all checks and the benchmark on a CUDA device, in at most 8 minutes: a page in OUT/gpu (WHEELS=DIRECTORY: packages from there)
	$(PYTHON) tools/gpu_check.py $(if $(WHEELS),--wheels $(WHEELS)) --output $(OUT)/gpu

bench-land: $(VENV)/.test ## time the land component alone and write docs/benchmarks/land.md
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@mkdir -p $(OUT) docs/benchmarks
	$(BIN)/python -m pytest tests/benchmarks/test_land.py --benchmark-enable --benchmark-only --benchmark-json=$(OUT)/benchmark_land.json
	$(BIN)/python tests/benchmarks/report.py $(OUT)/benchmark_land.json docs/benchmarks

bench-derivatives: $(VENV)/.test ## time tangent-linear, adjoint and Jacobian and write docs/benchmarks/derivatives.md
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@mkdir -p $(OUT) docs/benchmarks
	$(BIN)/python -m pytest tests/benchmarks/test_derivatives.py --benchmark-enable --benchmark-only \
	  --benchmark-json=$(OUT)/benchmark_derivatives.json
	$(BIN)/python tests/benchmarks/report.py $(OUT)/benchmark_derivatives.json docs/benchmarks

bench-large: $(VENV)/.test ## time a network of 134 million parameters and write docs/benchmarks/large.md; takes 8 GB
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	@mkdir -p $(OUT) docs/benchmarks
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python -m pytest tests/benchmarks/test_large.py \
	  --benchmark-enable --benchmark-only --benchmark-json=$(OUT)/benchmark_large.json
	$(BIN)/python tests/benchmarks/report.py $(OUT)/benchmark_large.json docs/benchmarks

bench-run: $(VENV)/.test ## time a run of 200 000 columns beside its bare steps and write docs/benchmarks/run.md
	@mkdir -p $(OUT) docs/benchmarks
	$(BIN)/python -m pytest tests/benchmarks/test_driven.py --benchmark-enable --benchmark-only \
	  --benchmark-json=$(OUT)/benchmark_run.json
	$(BIN)/python tests/benchmarks/report.py $(OUT)/benchmark_run.json docs/benchmarks

train: $(VENV)/.test ## train the default model anew (an hour and a half) on the ecLand runs in DATA; SIZE: another size, LENGTH: 0.2 for a fifth
	$(if $(filter $(SIZE),$(SIZES)),,$(error SIZE is '$(SIZE)', expected one of $(SIZES)))
	$(BIN)/python -m pip install --quiet --editable '.[training]'
	@mkdir -p $(OUT)
	$(BIN)/ailand train configs/default_model.yaml --data $(DATA) --directory $(OUT)/train_$(SIZE) \
	  --output $(OUT)/$(SIZE)_model_first_part.nc $(NETWORK_$(SIZE)) --set run.length=$(LENGTH)
	$(BIN)/ailand train configs/default_model_second_part.yaml --data $(DATA) --directory $(OUT)/train_$(SIZE)_second \
	  --start-from $(OUT)/$(SIZE)_model_first_part.nc --output $(OUT)/$(SIZE)_model.nc --set run.length=$(LENGTH)

evaluate: $(BIN)/ailand ## score the default model on the hold-out columns in DATA: table in docs, report in OUT
	$(BIN)/python -m pip install --quiet --editable .
	mkdir -p $(OUT)
	$(BIN)/ailand evaluate $(DATA)/ecland_synth_6h_holdout.nc -o docs/evaluation_holdout.md -o $(OUT)/evaluation.html \
	  --transfer docs/studies/transfer_region.json --alternatives docs/studies/alternatives.json

clean: ## remove what the targets above made
	rm -rf $(VENV) $(ICON4PY_VENV) $(ANEMOI_VENV) $(LOWEST_VENV) $(DOCS_VENV) $(OUT) build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks \
	  _dacegraphs .gt4py_cache .dacecache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
