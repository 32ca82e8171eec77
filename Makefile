# Everything a fresh machine needs is Python >= 3.11, git and make; the rest goes into .venv.
# `make test` also uses Go >= 1.26 and Chromium where they are, and says what it could not run.

PYTHONS := python3.13 python3.12 python3.11 python3 python
RECENT  := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON  ?= $(shell for p in $(PYTHONS); do "$$p" -c '$(RECENT)' 2>/dev/null && echo "$$p" && break; done)

VENV    := .venv
RUN     := $(VENV)/bin/python
# Named after what was installed: a changed lock, and nothing else, installs anew.
RUN_STAMP := $(VENV)/.run-$(shell cat requirements.lock requirements-build.lock pyproject.toml | cksum | cut -d' ' -f1)
DEV_STAMP := $(VENV)/.dev-$(shell cat requirements-dev.lock requirements-build.lock pyproject.toml | cksum | cut -d' ' -f1)
PIP     := $(RUN) -m pip --disable-pip-version-check --quiet install

.DEFAULT_GOAL := help
.PHONY: help demo install story test lint format testbed golden picture figures lock image

help:  ## say what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

demo: $(RUN_STAMP)  ## show a rotation on this machine: stand-ins of Slack and a cluster, the real bot
	$(RUN) -m bot sandbox

install: $(RUN_STAMP)  ## put the `rootkeeper` command into .venv/bin

story: $(RUN_STAMP)  ## play the same rotation without hands, a line per step
	$(RUN) -m bot sandbox --drive

test: $(DEV_STAMP)  ## run every layer that this machine can, and say which it cannot
	@$(RUN) -m tests.testbed.build || echo "the real layer will not run (see above)" >&2
	$(RUN) -m pytest

lint: $(DEV_STAMP)  ## hold every rule that a tool can hold
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo

format: $(DEV_STAMP)  ## write the code as the formatter wants it
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

testbed: $(DEV_STAMP)  ## build the real layer's servers (once: 20 minutes on 2 cores, then cached)
	$(RUN) -m tests.testbed.build

golden: $(DEV_STAMP)  ## write the golden files anew; read the difference before you commit it
	ROOTKEEPER_UPDATE_GOLDEN=1 $(RUN) -m pytest -q tests/unit
	$(RUN) -m tests.unit.test_env_example

picture: $(DEV_STAMP)  ## take the README's pictures anew from the running sandbox
	$(RUN) -m tests.picture

figures: $(DEV_STAMP)  ## measure start, ack and memory on this machine (two minutes)
	$(RUN) -m tests.figures

BUILD_REQUIRES := import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'], sep='\n')
lock: LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
lock:  ## pin the newest allowed versions with their hashes (needs uv)
	$(LOCK) --upgrade pyproject.toml -o requirements.lock
	$(LOCK) --upgrade --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(RUN) -c "$(BUILD_REQUIRES)" | $(LOCK) --upgrade -c requirements-dev.lock - -o requirements-build.lock
	$(LOCK) --upgrade tests/testbed/go.in -o tests/testbed/go.lock

image:  ## build the container image (needs Docker or Podman)
	docker build -t rootkeeper:dev .

$(VENV)/made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none of $(PYTHONS) is." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "No virtual environment: on Debian and Ubuntu, apt-get install python3-venv." >&2; exit 1; }
	@touch $@

$(RUN_STAMP): | $(VENV)/made
	$(PIP) --require-hashes -r requirements.lock -r requirements-build.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.run-* && touch $@

$(DEV_STAMP): | $(VENV)/made
	$(PIP) --require-hashes -r requirements-dev.lock -r requirements-build.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.dev-* $(VENV)/.run-* && touch $@ $(RUN_STAMP)
