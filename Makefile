# The workshop. The first command makes .venv and installs what it needs; a second call finds it in place.
#   make demo    eight pictures in outputs/           make lint        format, lint, types, texts
#   make ui      the studio in the browser            make docs        write the generated pages of docs/
#   make test    all tests                            make docs-check  generated pages current, links and commands alive
#   make bench   ours beside the peers                make screenshots the pictures of the pages in docs/
#   make format  what lint would complain of          make translations collect the texts of the pages
#                                                     make emoji-model train the embedded model again (hours)
#                                                     make emoji-lora  train its demonstration LoRA again (minutes)
# PYTHON=python3.12 picks another interpreter, VENV=folder another environment.

VENV ?= .venv
PYTHON ?= python3
PYTHON_IN_VENV := $(VENV)/bin/python
PIP := $(PYTHON_IN_VENV) -m pip --disable-pip-version-check --no-input

PROJECTS := $(sort $(wildcard kernel/pyproject.toml plugins/*/pyproject.toml)) pyproject.toml
KERNEL_SOURCES := $(wildcard $(addprefix native/gguf_kernels/,pyproject.toml build_hook.py src/* */__init__.py))
EDITABLE := $(foreach project,$(PROJECTS),-e ./$(patsubst ./%,%,$(dir $(project))))

INSTALLED := $(VENV)/.installed
LINT := $(VENV)/.installed-lint
TEST := $(VENV)/.installed-test
TRAINING := $(VENV)/.installed-training

.DEFAULT_GOAL := help
.PHONY: help demo ui screenshots test lint translations format docs docs-check bench emoji-model emoji-lora clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

demo: $(INSTALLED)
	@$(PYTHON_IN_VENV) scripts/demo_sheet.py

ui: $(INSTALLED)
	$(VENV)/bin/sfumato ui --open

screenshots: $(TEST)
	$(PYTHON_IN_VENV) scripts/screenshots.py

test: $(TEST)
	$(PYTHON_IN_VENV) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: $(LINT)
	$(PYTHON_IN_VENV) -m ruff format --check .
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m mypy
	$(PYTHON_IN_VENV) scripts/translations.py --check

translations: $(INSTALLED)
	$(PYTHON_IN_VENV) scripts/translations.py

format: $(LINT)
	$(PYTHON_IN_VENV) -m ruff check --fix .
	$(PYTHON_IN_VENV) -m ruff format .

docs: $(INSTALLED)
	$(PYTHON_IN_VENV) scripts/generate_docs.py

docs-check: $(INSTALLED)
	$(PYTHON_IN_VENV) scripts/generate_docs.py --check
	$(PYTHON_IN_VENV) scripts/check_docs.py

bench: $(TEST)
	$(PYTHON_IN_VENV) -m benchmarks

emoji-model: $(TRAINING)
	cd plugins/model_emoji && $(abspath $(PYTHON_IN_VENV)) -m training

emoji-lora: $(TRAINING)
	cd plugins/model_emoji && $(abspath $(PYTHON_IN_VENV)) -m training.train_lora

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache

$(PYTHON_IN_VENV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sfumato needs Python 3.11 or newer; this is " \
	  + sys.version.split()[0] + ". Try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

# torch goes first and alone: whatever build of this version is there (CPU, CUDA, ROCm) is kept.
# The kernels in C are optional: without a compiler, GGUF models are computed with by torch alone.
$(INSTALLED): $(PROJECTS) $(KERNEL_SOURCES) constraints.txt | $(PYTHON_IN_VENV)
	$(PIP) install --constraint constraints.txt torch
	$(PIP) install --quiet --constraint constraints.txt hatchling editables
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation $(EDITABLE)
	@$(PIP) install --force-reinstall --no-deps --no-build-isolation ./native/gguf_kernels > $(VENV)/gguf-kernels.log 2>&1 \
	  || echo "Going on without the optional GGUF kernels, which need a C compiler (see $(VENV)/gguf-kernels.log)."
	@touch $@

$(LINT): $(INSTALLED)
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable ".[lint]"
	@touch $@

$(TEST): $(INSTALLED)
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable ".[test]"
	$(PIP) install --quiet --constraint constraints.txt --no-deps k-diffusion
	@touch $@

$(TRAINING): $(INSTALLED)
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation --editable "plugins/model_emoji[training]"
	@touch $@
