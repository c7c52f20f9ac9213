# `make demo` and `make test` set up everything they need; there is no third step.
BIN := .venv/bin
STAMP := .venv/.ready-dev
RUN_STAMP := .venv/.ready-run

.PHONY: setup demo check test format lock wheel docs clean

setup: $(STAMP)

$(STAMP): requirements/dev.txt requirements/run.txt pyproject.toml scripts/setup
	@scripts/setup dev

$(RUN_STAMP): requirements/run.txt pyproject.toml scripts/setup
	@scripts/setup run

demo: $(RUN_STAMP)
	@$(BIN)/drift demo

check: $(STAMP)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@cd ansible && PATH="$(CURDIR)/$(BIN):$$PATH" ../$(BIN)/ansible-lint -q

test: $(STAMP)
	@scripts/test-servers
	@$(BIN)/pytest $(ARGS)

format: $(STAMP)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(STAMP)
	@$(BIN)/python scripts/reference.py
	@$(BIN)/python grafana/dashboards.py
	@$(BIN)/python grafana/alerts.py

lock: $(STAMP)
	@scripts/lock

wheel: $(STAMP)
	@$(BIN)/python -m build --wheel --no-isolation

clean:
	@rm -rf .venv dist build .mypy_cache .ruff_cache .hypothesis
