# Short names for calflow's commands. README.md gives the same commands without make.

PYTHON ?= python3
VENV ?= .venv
CORES ?= 2

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# With what tests and lint need.
TESTS_INSTALLED := $(VENV)/.installed-tests

# A PYTHON that is named makes the environment anew if that is of another version; without one it stays as it is.
PRINT_VERSION := -c 'import sys; print(*sys.version_info[:2])'
ifneq ($(origin PYTHON),file)
ifneq ($(shell $(PYTHON) $(PRINT_VERSION)),$(shell $(BIN)/python $(PRINT_VERSION) 2>/dev/null))
.PHONY: $(INSTALLED)
endif
endif

# What `make test` runs, for a part of it: make test TESTS=tests/unit
TESTS ?=

# Snakemake's plugin for SLURM, in an environment of its own: where SLURM's commands are and no cluster answers, it
# slows every call of snakemake down.
SLURM_VENV ?= .venv-slurm

# The jwst package, for comparison only, lives in an environment of its own (it needs an older drizzle).
JWST_VENV ?= .venv-jwst
ifndef CALFLOW_JWST_PYTHON
export CALFLOW_JWST_PYTHON := $(abspath $(JWST_VENV))/bin/python
JWST_INSTALLED := $(JWST_VENV)/.installed
endif

# Parallel work comes from processes; BLAS threads on top of them only get in each other's way.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes

.PHONY: docs linkcheck help environment demo demo-iris test test-newest test-oldest fuzz parity benchmark benchmark-c benchmark-iris benchmark-planning speed job-costs accuracy cleaning recipes config lint clean lock audit test-s3 test-slurm
.DELETE_ON_ERROR:

help:
	@echo "make environment    what a run needs, in $(VENV); PYTHON=python3.13 for another Python"
	@echo "make demo           simulate a small MIRI data set and reduce it to a catalogue, in demo/"
	@echo "make demo-iris      the same for IRIS, with concurrent subarrays, in demo-iris/"
	@echo "make test           all tests but the comparison with jwst; TESTS=tests/unit for a part"
	@echo "make test-newest    the tests that depend on versions, with the newest Snakemake of the pinned minor series"
	@echo "make test-oldest    what calflow uses of Snakemake, and the demo, with the oldest Snakemake that it takes"
	@echo "make test-s3        tests with a local S3 server, in an environment of its own"
	@echo "make test-slurm     run on a SLURM cluster that is started for it (root, Debian)"
	@echo "make fuzz           thousands of spoiled files for each reader of planning"
	@echo "make lint           format, style, types, Snakemake's own linter"
	@echo "make docs           the documentation's site, in docs/_build/html; make linkcheck looks at its links to other sites"
	@echo "make config         write config.yaml, its schema and the page of all keys from the declared parameters"
	@echo "make flow           draw the flow of files and rules in docs/architecture.md, from rules and jobs"
	@echo "make parity         compare with the jwst package (installs it, 1.1 GB)"
	@echo "make benchmark      time against the jwst package (installs it, 1.1 GB)"
	@echo "make benchmark-c    time and errors beside SWarp, source-extractor (Debian's packages) and sep (installs it)"
	@echo "make benchmark-iris time stage 2 on full-size IRIS exposures"
	@echo "make benchmark-planning time plans and dry runs of up to 10,000 exposures"
	@echo "make speed          see that no kernel takes a quarter more CPU time than is stored"
	@echo "make job-costs      measure what jobs take, for requests and 'snakemake plan'"
	@echo "make accuracy       compare calflow and the jwst package with the truth of simulated fields"
	@echo "make cleaning       compare the cleaning steps, and that of jwst, with the truth of simulated exposures"
	@echo "make recipes        run the configurations of docs/recipes on simulated exposures, and write their figures there"
	@echo "make clean          remove demo/, demo-iris/, benchmark data and caches; never results of your own"
	@echo "make lock           resolve the versions in pyproject.toml; UPGRADE=--upgrade for the newest of all others"
	@echo "make audit          look for known vulnerabilities of what is pinned (asks a package index)"

environment: $(INSTALLED)

# What numba and Python compile, and what each module defines, is kept beside the code: the first run need not wait for it,
# 6 s, nor any run where Python is told to write nothing.
COMPILE := from calflow.science.combination.drizzle_kernel import start_kernel; start_kernel();
COMPILE += from calflow.jobs.code_hash import remember_code; remember_code("scripts")

# The stamp makes a second call instant; a new lock file makes a new environment.
$(INSTALLED): envs/lock.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || \
	    { echo "calflow needs Python 3.11 to 3.14: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python $(PIP_INSTALL) --requirement envs/lock.txt
	$(BIN)/python -m pip --disable-pip-version-check check
	$(BIN)/python -m compileall -q scripts
	PYTHONPATH=scripts $(BIN)/python -c '$(COMPILE)'
	@touch $@

$(TESTS_INSTALLED): $(INSTALLED) envs/parquet.txt envs/test.txt
	$(BIN)/python $(PIP_INSTALL) $(foreach file,lock parquet test,--requirement envs/$(file).txt)
	@touch $@

demo: $(INSTALLED)
	mkdir -p demo
	$(BIN)/snakemake --directory demo --cores $(CORES) demo_data
	$(BIN)/snakemake --directory demo --cores $(CORES) --configfile rules/demo.yaml -- demo

demo-iris: $(INSTALLED)
	mkdir -p demo-iris
	$(BIN)/snakemake --directory demo-iris --cores $(CORES) demo_iris_data
	$(BIN)/snakemake --directory demo-iris --cores $(CORES) --configfile rules/demo_iris.yaml -- demo_iris

# One process does all tests of a file, for which many share a run; the files in the order of tests/conftest.py.
PYTEST := -m pytest -m "not parity" --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder

test: $(TESTS_INSTALLED)
	$(BIN)/python $(PYTEST) $(TESTS)

# Snakemake's inside is used, so both ends of what calflow takes are tried, too: in environments of their own. A newer
# series than the pinned one: make test-newest NEWEST_SNAKEMAKE='9.*', with another NEWEST in the file below.
VERSIONS := scripts/calflow/engine/versions.py
NEWEST_VENV ?= .venv-newest
NEWEST_SNAKEMAKE ?= $(shell sed -nE 's/^OLDEST, NEWEST = .*, .([0-9]+), ([0-9]+).$$/\1.\2.*/p' $(VERSIONS))
NEWEST_TESTS ?= tests/unit tests/workflow/test_demo.py
OLDEST_VENV ?= .venv-oldest
OLDEST_SNAKEMAKE ?= $(shell sed -nE 's/^OLDEST, NEWEST = .([0-9]+), ([0-9]+).*/\1.\2.*/p' $(VERSIONS))
OLDEST_TESTS ?= tests/unit/test_engine_contract.py tests/workflow/test_demo.py tests/workflow/test_signals.py

define TEST_WITH_SNAKEMAKE
	$(PYTHON) -m venv --clear $(1)
	$(1)/bin/python $(PIP_INSTALL) --requirement envs/lock.txt --requirement envs/test.txt
	$(1)/bin/python $(subst --require-hashes,,$(PIP_INSTALL)) --upgrade 'snakemake==$(2)'
	$(1)/bin/python --version && $(1)/bin/snakemake --version
	$(1)/bin/python $(PYTEST) $(3)
endef

test-newest:
	$(call TEST_WITH_SNAKEMAKE,$(NEWEST_VENV),$(NEWEST_SNAKEMAKE),$(NEWEST_TESTS))

test-oldest:
	$(call TEST_WITH_SNAKEMAKE,$(OLDEST_VENV),$(OLDEST_SNAKEMAKE),$(OLDEST_TESTS))

# What S3 and Kubernetes bring is much: into an environment of its own.
S3_VENV ?= .venv-s3

$(S3_VENV)/.installed: envs/lock.txt envs/test.txt envs/cloud.txt envs/test-s3.txt
	$(PYTHON) -m venv --clear $(S3_VENV)
	$(S3_VENV)/bin/python $(PIP_INSTALL) $(^:%=--requirement %)
	@touch $@

test-s3: $(S3_VENV)/.installed
	$(S3_VENV)/bin/python -m pytest -m "not parity" tests/places/test_s3.py

$(SLURM_VENV)/.installed: envs/lock.txt envs/test.txt envs/slurm.txt
	$(PYTHON) -m venv --clear $(SLURM_VENV)
	$(SLURM_VENV)/bin/python $(PIP_INSTALL) $(^:%=--requirement %)
	@touch $@

test-slurm: $(SLURM_VENV)/.installed
	tests/slurm/packages.sh
	$(SLURM_VENV)/bin/python -m pytest -m "not parity" tests/slurm

# Spoiled files for each reader that planning has; the first of them are in `make test`.
FUZZ_CASES ?= 10000

fuzz: $(TESTS_INSTALLED)
	PYTHONPATH=scripts $(BIN)/python -m tests.fuzz.run --cases $(FUZZ_CASES)

# A declaration that cannot be read leaves the files as they are.
config: $(INSTALLED)
	$(BIN)/python scripts/settings.py > config.yaml.new && mv config.yaml.new config.yaml
	$(BIN)/python scripts/settings.py --schema > config.schema.json.new && mv config.schema.json.new config.schema.json
	$(BIN)/python scripts/settings.py --page > docs/configuration.md.new && mv docs/configuration.md.new docs/configuration.md

# The site runs the demo in its notebook.
DOCS_INSTALLED := $(VENV)/.installed-docs
SPHINX := PATH="$(abspath $(BIN)):$$PATH" sphinx-build --fail-on-warning --keep-going --quiet

$(DOCS_INSTALLED): $(INSTALLED) envs/docs.txt
	$(BIN)/python $(PIP_INSTALL) --requirement envs/lock.txt --requirement envs/docs.txt
	@touch $@

docs: $(DOCS_INSTALLED)
	$(SPHINX) --builder html docs docs/_build/html

# What is on other sites, which only their servers tell.
linkcheck: $(DOCS_INSTALLED)
	$(SPHINX) --builder linkcheck -D nb_execution_mode=off docs docs/_build/linkcheck

lint: $(TESTS_INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/snakemake --lint

$(JWST_VENV)/.installed: benchmarks/jwst-requirements.txt
	$(PYTHON) -m venv --clear $(JWST_VENV)
	$(JWST_VENV)/bin/python $(subst --require-hashes,,$(PIP_INSTALL)) --requirement $<
	@touch $@

parity: $(TESTS_INSTALLED) $(JWST_INSTALLED)
	$(BIN)/python -m pytest -m parity tests/parity

benchmark: $(TESTS_INSTALLED) $(JWST_INSTALLED)
	$(BIN)/python benchmarks/run.py --cores $(CORES)

# sep, in an environment of its own.
C_VENV ?= .venv-c

$(C_VENV)/.installed: benchmarks/c-requirements.txt
	$(PYTHON) -m venv --clear $(C_VENV)
	$(C_VENV)/bin/python $(subst --require-hashes,,$(PIP_INSTALL)) --requirement $<
	@touch $@

benchmark-c: $(TESTS_INSTALLED) $(C_VENV)/.installed
	CALFLOW_SEP_PYTHON=$(abspath $(C_VENV))/bin/python $(BIN)/python benchmarks/c_programs.py

benchmark-iris: $(TESTS_INSTALLED)
	$(BIN)/python benchmarks/iris.py --cores $(CORES)

benchmark-planning: $(TESTS_INSTALLED)
	$(BIN)/python benchmarks/planning.py --cores $(CORES)

# After a kernel became faster, or slower for a reason: benchmarks/speed.py --write
speed: $(TESTS_INSTALLED)
	$(BIN)/python benchmarks/speed.py

job-costs: $(TESTS_INSTALLED)
	$(BIN)/python benchmarks/job_costs.py --cores $(CORES)
	$(BIN)/python benchmarks/job_memory.py

.PHONY: flow
flow: $(INSTALLED)
	$(BIN)/python docs/flow.py

accuracy: $(TESTS_INSTALLED) $(JWST_INSTALLED)
	$(BIN)/python benchmarks/accuracy.py --cores $(CORES)

cleaning: $(TESTS_INSTALLED) $(JWST_INSTALLED)
	$(BIN)/python benchmarks/cleaning.py

recipes: $(TESTS_INSTALLED)
	$(BIN)/python benchmarks/recipes.py

clean:
	rm -rf demo demo-iris docs/_build docs/generated benchmarks/data tests/parity/data build *.egg-info
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find Snakefile rules scripts tests benchmarks envs -name __pycache__ -prune -exec rm -rf {} +

# What resolves and audits, in an environment of its own.
TOOLS_VENV ?= .venv-tools
UPGRADE ?=

$(TOOLS_VENV)/.installed: envs/tools.txt
	$(PYTHON) -m venv --clear $(TOOLS_VENV)
	$(TOOLS_VENV)/bin/python $(PIP_INSTALL) --requirement $<
	@touch $@

lock: $(TOOLS_VENV)/.installed
	PATH="$(abspath $(TOOLS_VENV))/bin:$$PATH" python envs/lock.py $(UPGRADE)

audit: $(TOOLS_VENV)/.installed
	PATH="$(abspath $(TOOLS_VENV))/bin:$$PATH" python envs/audit.py
