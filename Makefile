# One command per intention. Everything Python lives in .venv, everything that is kept in .lemline.

PYTHON ?= python3
WORKFLOW ?= examples/hello.yaml
INPUT ?=
ARGS ?=
# Taken as they are, whatever quotes and dollars they have.
override WORKFLOW := $(value WORKFLOW)
override INPUT := $(value INPUT)
export WORKFLOW INPUT

VENV := .venv
BIN := $(VENV)/bin
RUNS := $(VENV)/.runs
CHECKS := $(VENV)/.checks

.DEFAULT_GOAL := help
.PHONY: help run dev up order test crash check format bench docs clean

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

# Here workflows may call this machine: what they call in examples and while trying things out runs on it.
run dev up order: export LEMLINE_HTTP_PRIVATE_ADDRESSES ?= loopback

run: $(RUNS) ## run a workflow and print its output: WORKFLOW=my.yaml INPUT='{"name": "Ada"}'
	@$(BIN)/python manage.py lemline workflow run "$$WORKFLOW" $${INPUT:+--input "$$INPUT"}

dev: $(RUNS) ## API, admin, workers and timers in one process on 127.0.0.1, PORT=8080
	@$(BIN)/python manage.py lemline dev

up: $(RUNS) ## everything on this machine: PostgreSQL, Redis, one process per role, Flower; PORT=8080 FLOWER_PORT=5555
	@$(BIN)/python -m lemline_site.services install postgresql redis
	@$(BIN)/python -m lemline_site.up

order: $(RUNS) ## the order example against its own shop: ARGS="--failing-charges 2 --sold-out cable"
	@$(BIN)/python -m examples.order $(ARGS)

test: $(CHECKS) ## all tests, on services of their own: ARGS="tests/engine -k retry"
	@$(BIN)/python -m lemline_site.services install postgresql redis rabbitmq nats mosquitto node
	@$(BIN)/python -m lemline_site.services run -- $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal $(ARGS)

crash: $(CHECKS) ## break things under load, and look whether all comes right: N=1000 SEED=7 BROKER=rabbitmq
	@$(BIN)/python -m lemline_site.services install postgresql redis $(if $(filter rabbitmq,$(BROKER)),rabbitmq)
	@$(BIN)/python -m tests.crash.campaign $(if $(N),-n $(N)) $(if $(SEED),--seed $(SEED)) \
		$(if $(BROKER),--broker $(BROKER)) $(ARGS)

check: $(CHECKS) ## format, lint, types, Django's checks, migrations, generated pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python manage.py check
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python -m lemline_site.config.reference --check docs/configuration.md

format: $(CHECKS) ## rewrite what format and lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(CHECKS) ## measure, beside the peers: W=W1 PEERS=restate QUICK=1
	@$(BIN)/python -m lemline_site.services install postgresql redis
	@$(BIN)/python -m bench $(if $(W),--workload $(W)) $(if $(PEERS),--peers $(PEERS)) $(if $(QUICK),--quick) $(ARGS)

docs: $(RUNS) ## write the generated pages again
	$(BIN)/python -m lemline_site.config.reference docs/configuration.md

clean: ## forget the environment and what `make up` and `make dev` kept
	rm -rf $(VENV) .lemline lemline.db lemline.db-shm lemline.db-wal

# A stamp each: the second time, nothing is asked of an index.
$(RUNS): requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "a venv is needed: install python3-venv, or set PYTHON to a Python >= 3.11" >&2; exit 1; }
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed; set PYTHON")'
	@echo "installing requirements.txt into $(VENV), once ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(CHECKS): requirements-dev.txt requirements-events.txt $(RUNS)
	@echo "installing requirements-dev.txt into $(VENV), once ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
