# The two commands: `make demo` and `make test`. Everything is installed into .venv, from requirements/tf2.txt or requirements/tf215.txt.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
BEAM := $(VENV)-beam
DOCS := $(VENV)-docs
RUN ?= runs/demo
DEMO_FLAGS ?=
# PYTHON=3.13 (or a path) and SET choose the interpreter and the packages that belong to it: tf2 (Python 3.12 and 3.13,
# TensorFlow 2.20) or tf215 (Python 3.11, TensorFlow 2.15); without them, the first of requirements/choose.sh that is
# here. VENV=.venv-tf2 SET=tf2 keeps a second one beside it.
PYTHON ?=
SET ?=

# Where the photographs lie, for the two reproductions; see docs/results/small.md.
DATA ?= ../shared/data
LFW ?= $(DATA)/lfw.tar
PAIRS ?= $(DATA)/lfw_pairs.txt
GENDER ?= $(DATA)/lfw_gender_by_identity.tsv
CFP ?= $(DATA)/cfp_dev.tar
WEIGHTS ?= ../shared/weights/insightface_mobilefacenet-0000.params
REPRODUCE_FLAGS ?=
FINETUNE_FLAGS ?=
# Processes of `make test`; two took up to 7 GB together.
WORKERS ?= 2
# --count-skips: print what was skipped and why, and fail where it is more than tests/skips.tsv says, as CI does.
TEST_FLAGS ?=

.PHONY: help venv uv-venv demo reproduce-small reproduce-imported reproduce finetune universal test test-fast test-unit test-slow venv-beam test-beam fuzz docs lint format lock audit clean

help:
	@echo "make demo       install, then fine-tune the default network on ORL faces, show what it says before and after, export and report"
	@echo "make reproduce-small   the paper's tables in small, on LFW and CFP -> docs/results/small.md; go on with the same command"
	@echo "make reproduce-imported   the same from imported weights (WEIGHTS=NAME-0000.params) -> docs/results/small_imported.md"
	@echo "make reproduce         the same at full scale: MS1M=... CELEBA=... and the tests at hand, TINYFACE=... IJBS=... IJBC=..."
	@echo "make finetune          imported weights made universal, against plain CosFace -> docs/results/finetuning.md"
	@echo "make universal         the default network made universal -> results/universal.md in docs"
	@echo "make test       install, then lint, types and the tests (make test-slow: the slow ones; make test-unit: the quick ones)"
	@echo "make test-beam  the tests of the Apache Beam pipelines, in an environment of their own (make venv-beam)"
	@echo "make docs       the documentation as a site, in build/site"
	@echo "make fuzz       10,000 mutated files of every format that comes from outside; FUZZ_FLAGS: --mutations 1000 --seed 1 --formats onnx"
	@echo "make venv       install only; make uv-venv does it with uv, which brings its own Python; SET=tf2 for today's TensorFlow, PYTHON=3.12 for another Python"
	@echo "make lock       resolve pyproject.toml anew into requirements/tf2.txt and tf215.txt, with hashes; make audit asks for known vulnerabilities"

venv: $(VENV)/.ready
	@PYTHON=$(BIN)/python SET=$(SET) requirements/choose.sh >/dev/null || { \
		echo "$(VENV) is of the other set: 'make clean', or keep both with VENV=.venv-$(SET)" >&2; exit 1; }

# $(call install,ENVIRONMENT,PREFIX): the environment with requirements/PREFIXtf2.txt or PREFIXtf215.txt, and this package.
define install
	@set -e; chosen=$$(PYTHON="$(or $(wildcard $(1)/bin/python),$(PYTHON))" SET=$(SET) requirements/choose.sh); set -- $$chosen; \
		echo "$(1): $$1 with requirements/$(2)$$2.txt"; [ -x $(1)/bin/python ] || $$1 -m venv $(1); \
		$(1)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(2)$$2.txt
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(1)/bin/python -m pip check
	@touch $@
endef

$(VENV)/.ready: requirements/tf2.txt requirements/tf215.txt setup.py pyproject.toml $(wildcard urfr_tf/metrics/*.[ch])
	$(call install,$(VENV),)

uv-venv:
	@command -v uv >/dev/null || { echo "uv was not found: install it with 'pip install uv'." >&2; exit 1; }
	@set -e; export PYTHON=$(PYTHON) SET=$(SET); chosen=$$(requirements/choose.sh 2>/dev/null || requirements/choose.sh --first); set -- $$chosen; \
		echo "$(VENV): Python $$1 with requirements/$$2.txt"; uv venv --quiet --python $$1 $(VENV); \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/$$2.txt
	uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	uv pip check --python $(BIN)/python
	@touch $(VENV)/.ready

demo: venv
	$(BIN)/python -m urfr_tf.demo --run-dir $(RUN) $(DEMO_FLAGS)

# REPRODUCE_FLAGS: --seeds 1 2, --only table2_all, --seconds 3600, --list, --set a.b=v; see --help.
reproduce-small: venv
	$(BIN)/python -m experiments.reproduce small --lfw "$(LFW)" --pairs "$(PAIRS)" --gender "$(GENDER)" --cfp "$(CFP)" $(REPRODUCE_FLAGS)

reproduce-imported: venv
	$(BIN)/python -m experiments.reproduce small --lfw "$(LFW)" --pairs "$(PAIRS)" --gender "$(GENDER)" --cfp "$(CFP)" --weights "$(WEIGHTS)" $(REPRODUCE_FLAGS)

reproduce: venv
	@[ -n "$(MS1M)" ] && [ -n "$(CELEBA)" ] || { echo "make reproduce needs MS1M=FOLDER (InsightFace's train.rec, train.idx, property) and CELEBA=FOLDER; docs/results/small.md says what it takes." >&2; exit 2; }
	$(BIN)/python -m experiments.reproduce full --ms1m "$(MS1M)" --celeba "$(CELEBA)" \
		$(foreach test,LFW CFP TINYFACE IJBC IJBS,$(if $(filter command environment,$(word 1,$(origin $(test)))),--$(shell echo $(test) | tr A-Z a-z) "$($(test))")) $(REPRODUCE_FLAGS)

# FINETUNE_FLAGS: --seeds 1 2, --only urface, --stage train, --seconds 3600, --list; see --help.
finetune: venv
	$(BIN)/python -m experiments.finetune --lfw "$(LFW)" --pairs "$(PAIRS)" --gender "$(GENDER)" --cfp "$(CFP)" --weights "$(WEIGHTS)" $(FINETUNE_FLAGS)

# The default network, taught blurred, tiny and covered faces. UNIVERSAL_FLAGS as FINETUNE_FLAGS.
universal: venv
	$(BIN)/python -m experiments.universal --lfw "$(LFW)" --pairs "$(PAIRS)" --gender "$(GENDER)" --cfp "$(CFP)" $(UNIVERSAL_FLAGS)

# mypy takes one core for a while, and so do the longest tests.
test: venv
	$(MAKE) -j2 lint test-fast

# Python keeps what it has compiled, so that the workers and the programs that they start need not compile it again.
test-fast test-unit: export PYTHONDONTWRITEBYTECODE =

test-fast: venv
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(TEST_FLAGS)

# What takes no process and no training, in a minute or two.
test-unit: venv
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not process and not training and not network"

test-slow: venv
	$(BIN)/python -m pytest -m slow

venv-beam: $(BEAM)/.ready

$(BEAM)/.ready: requirements/beam-tf2.txt requirements/beam-tf215.txt setup.py pyproject.toml
	$(call install,$(BEAM),beam-)

# Fails where one of them is skipped: this is the environment in which they run.
test-beam: venv-beam
	$(BEAM)/bin/python -m pytest tests/embedding/test_beam.py tests/data/preparation/test_beam.py --no-skips

# The site in build/site, which opens without a server. A dead link, a page outside of the navigation and an unknown name fail;
# `make lint` refuses an undocumented public name.
docs: venv $(DOCS)/.ready
	$(BIN)/python docs/reference/generate.py
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict --quiet

$(DOCS)/.ready: requirements/docs.txt
	@set -e; [ -x $(DOCS)/bin/python ] || $(BIN)/python -m venv $(DOCS); \
		$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.txt
	@touch $@

fuzz: venv
	$(BIN)/python tests/fuzz $(FUZZ_FLAGS)

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy urfr_tf
	$(BIN)/deptry .

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

LOCK = $(BIN)/uv pip compile --quiet --generate-hashes --custom-compile-command "make lock"

lock: venv
	$(LOCK) --python-version 3.11 --extra dev pyproject.toml -o requirements/tf215.txt
	$(LOCK) --universal --python-version 3.12 --extra dev pyproject.toml -o requirements/tf2.txt
	$(LOCK) --universal --python-version 3.11 urfr_tf/bench/runtimes.in -o urfr_tf/bench/runtimes.txt
	$(LOCK) --universal --python-version 3.11 --no-deps urfr_tf/bench/converter.in -o urfr_tf/bench/converter.txt
	$(LOCK) --universal --python-version 3.11 requirements/docs.in -o requirements/docs.txt
	$(LOCK) --python-version 3.11 requirements/beam.in -o requirements/beam-tf215.txt
	$(LOCK) --universal --python-version 3.12 requirements/beam.in -o requirements/beam-tf2.txt

# Asks PyPI for known vulnerabilities of what is locked; fails where one is known, or where PyPI does not answer.
audit: venv
	for list in requirements/tf2.txt requirements/tf215.txt requirements/beam-tf2.txt requirements/beam-tf215.txt requirements/docs.txt urfr_tf/bench/runtimes.txt urfr_tf/bench/converter.txt; do \
		$(BIN)/uv tool run pip-audit@2.10.1 --strict --disable-pip --require-hashes -r $$list || exit 1; done

clean:
	rm -rf $(VENV) $(BEAM) $(DOCS) runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache
