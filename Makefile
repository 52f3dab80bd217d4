# One command each: `make demo`, `make test`. Needs make and Python >= 3.11.
#   PYTHON=python3.12   the interpreter the virtual environment is made with
#   VENV=.venv          where the virtual environment lies
#   WORKERS=2           test processes;  PYTEST_ARGS='-k foot'  further arguments for pytest

PYTHON ?= python3
VENV ?= .venv
OUT ?= out/demo
WORKERS ?= 2
PYTEST_ARGS ?=

BIN = $(VENV)/bin
# A test process that dies ends the run: pytest-xdist waits for ever for one that it started anew.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --max-worker-restart 0

# Compiled programs are kept between runs and shared by the test processes.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test test-slow docs lint style types layers venv venv-video clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo       score a built-in clip and damaged copies of it, and a motion made from text before'
	@echo '                and after post-training with the score; HTML pages in $(OUT)'
	@echo 'make test       the tests (those under about 20 s each)'
	@echo 'make test-slow  the slow tests'
	@echo 'make lint       style, types, layers'
	@echo 'make docs       the documentation as a site in out/site'
	@echo 'make check-wheel  what someone gets who installs the package: its wheel in a clean environment'
	@echo 'make venv       only the virtual environment, with everything for development'
	@echo 'make venv-video MediaPipe in an environment of its own: motion from videos on any CPU'
	@echo 'make clean      remove the virtual environment, caches and results'

demo: $(VENV)/.installed
	$(BIN)/mjxhuman demo --out $(OUT)
	$(BIN)/mjxhuman generate 'a person walks' --base --out $(OUT)/generated

test: $(VENV)/.installed-dev
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-slow: $(VENV)/.installed-dev
	$(PYTEST) -m slow $(PYTEST_ARGS)

lint: style types layers

style: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/python -m mypy

layers: $(VENV)/.installed-dev
	$(BIN)/lint-imports

# Needs no network once the packages are there; a broken link is an error.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo 'site: out/site/index.html'

check-wheel:
	PYTHON='$(PYTHON)' .ci/check_wheel

venv: $(VENV)/.installed-dev

# Lies in the user's data folder, or in $$MJXHUMAN_MEDIAPIPE; needs a Python from 3.10 to 3.12.
venv-video: $(VENV)/.installed-dev
	$(BIN)/python -m mjxhuman.encoders.install_mediapipe

clean:
	rm -rf $(VENV) .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache out build *.egg-info
	find mjxhuman tests experiments configs -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: packages are installed again only when their description changes.
PROJECT_FILES = pyproject.toml $(wildcard constraints/*.txt)

$(BIN)/python:
	@command -v '$(PYTHON)' >/dev/null || \
	  { echo "No '$(PYTHON)' on this machine: mjxhuman needs Python 3.11 or newer (make PYTHON=/path/to/python3 ...)." >&2; exit 1; }
	@said=$$('$(PYTHON)' -c 'import sys; print("Python %d.%d.%d" % sys.version_info[:3])' 2>&1) || \
	  { printf "'%s' does not run. It says:\n%s\nChoose another: make PYTHON=python3.12 ...\n" '$(PYTHON)' "$$said" >&2; exit 1; }; \
	'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "mjxhuman needs Python 3.11 or newer, '$(PYTHON)' is $$said. Choose another: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# $(call install,EXTRAS): editable install with the tested versions of this Python, where there are any.
define install
@minor=$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
constraint=constraints/py$$minor.txt; \
if [ -f $$constraint ]; then set -- -c $$constraint; \
else echo "Notice: no tested set of versions for Python $$minor (there is one for 3.11 and 3.12); installing the newest that fit."; set --; fi; \
echo "Installing mjxhuman$(1) into $(VENV) (about 400 MB of wheels the first time) ..."; \
$(BIN)/python -m pip install --quiet "$$@" --editable '.$(1)'
endef

$(VENV)/.installed: $(BIN)/python $(PROJECT_FILES)
	$(call install,)
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python $(PROJECT_FILES)
	$(call install,[dev])
	@touch $(VENV)/.installed $@

$(VENV)/.installed-docs: $(BIN)/python $(PROJECT_FILES)
	$(call install,[docs])
	@touch $@
