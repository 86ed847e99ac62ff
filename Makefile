# The menu of the project; `make` alone shows it. Everything runs in .venv, made from requirements.lock.

# The first Python on PATH that is new enough; `make PYTHON=... run` chooses another.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
BIN := .venv/bin
READY := .venv/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11
DATA ?= data
# How many tests run beside each other.
JOBS ?= 4
# How an image is built; a machine whose builds need another network or builder says so here.
DOCKER_BUILD ?= docker build
# What the tests' servers are: processes of this machine, or `containers`.
STACK ?= embedded
# What runs on containers: the tests of the embedded stack itself do not.
CONTAINED := tests/contract $(sort $(wildcard tests/integration/*/)) tests/integration/test_embedded_fixtures.py

# Where compiled modules are kept, a process starts in half the time, and tests start hundreds of them.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run servers demo tripod env images test test-browser test-compose test-long chaos bench sweep lint types imports check format asyncapi lock clean

help: ## show this menu
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  ARGS="..." is passed on, e.g. make run ARGS="--port 8080", make test ARGS="-k photo"'

run: $(READY) ## start everything and print how to use it; Ctrl-C stops it
	@exec $(BIN)/python -m deploy run --data "$(DATA)" $(ARGS)

servers: $(READY) ## start PostgreSQL, NATS and the S3 store only, and print the services' environment
	@exec $(BIN)/python -m deploy run --servers-only --data "$(DATA)" $(ARGS)

demo: $(READY) ## send a picture through the system and show what came out (FILE=photo.jpg)
	@exec $(BIN)/python -m deploy demo --data "$(DATA)" $(ARGS) $(if $(FILE),"$(FILE)")

tripod: $(READY) ## operate the running stack, e.g. make tripod ARGS="verify --deep"
	@exec $(BIN)/python -m deploy tripod --data "$(DATA)" -- $(ARGS)

env: $(READY) ## write .env for `docker compose up`, with fresh secrets
	@$(BIN)/python -m deploy.dotenv

images: ## build the images of `docker compose up`
	@for image in edge ingest processor catalog; do \
		$(DOCKER_BUILD) --quiet --file deploy/Dockerfile --target $$image --tag tripod-$$image . || exit 1; done

test: $(READY) ## all tests but the long ones and the browser's, on real servers (STACK=containers: a service's, on containers)
	@STACK=$(STACK) exec $(BIN)/python -m pytest -n $(JOBS) -m "not long and not browser" \
		$(if $(filter containers,$(STACK)),$(CONTAINED)) $(ARGS)

test-browser: $(READY) ## the pages in a real browser; needs Debian's chromium and chromium-driver
	@STACK=$(STACK) $(BIN)/python -m pytest tests/browser -m browser $(ARGS)

test-compose: images $(READY) ## the tests over HTTP against `docker compose up`, and those of the containers themselves
	@STACK=compose $(BIN)/python -m pytest tests/e2e tests/compose $(ARGS)

test-long: $(READY) ## the tests that take minutes
	@exec $(BIN)/python -m pytest -m "long and not browser" $(ARGS)

bench: $(READY) ## speed as ratios to measured baselines; ARGS="--quick", ARGS="--json FILE"
	@exec $(BIN)/python -m deploy.bench $(ARGS)

chaos: $(READY) ## kill parts at random under load, then count (SEED=1 UPLOADS=2000)
	@exec $(BIN)/python -m tests.faults.chaos --seed $(or $(SEED),1) --uploads $(or $(UPLOADS),2000) $(ARGS)

sweep: $(READY) ## any folder of files, hostile ones too, twice through the real worker (DIR=folder)
	@$(if $(DIR),,echo 'say which folder: make sweep DIR=...'; exit 2)
	@exec $(BIN)/python -m deploy.sweep "$(DIR)" $(ARGS)

lint: $(READY) ## style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY) ## strict types
	@$(BIN)/mypy

imports: $(READY) ## boundaries between the services
	@$(BIN)/lint-imports

check: lint types imports test ## all that must pass

format: $(READY) ## repair style and formatting
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

asyncapi: $(READY) ## write docs/asyncapi.json, the events as other back ends hear them
	@exec $(BIN)/python -m shared.events.asyncapi docs/asyncapi.json

lock: $(READY) ## resolve the dependencies anew
	@$(LOCK) --all-extras pyproject.toml -o requirements.lock
	@# An image installs one extra, at the versions of the whole.
	@for extra in ingest processor catalog edge; do \
		$(LOCK) --extra $$extra --constraint requirements.lock pyproject.toml -o deploy/requirements/$$extra.lock; done
	@echo hatchling | $(LOCK) --constraint requirements.lock - -o deploy/requirements/build.lock

clean: ## remove .venv and caches, never data
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installs only when the lock or the project's description changed. The hashes of every wheel are checked.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none is on PATH (make PYTHON=/path/to/python ...)"; exit 1; }
	@test -x $(BIN)/python || { echo "making .venv with $(PYTHON)"; "$(PYTHON)" -m venv .venv; }
	@echo "installing the locked dependencies"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
