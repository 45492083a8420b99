# `make` alone lists what there is. Works with GNU make 3.81 and later and with BSD make; needs Python >= 3.11 and nothing else.
PYTHON = .venv/bin/python
# Two for each of CI's cores: some tests wait. What many processes import is compiled once, whatever the environment says.
PYTEST = -n 4 --dist worksteal
COMPILED = PYTHONDONTWRITEBYTECODE=
OLDEST = 3.11
# Without the store's own: SQL does not know which Python asks.
IN_PROCESS = tests/core tests/runtime tests/app tests/lint tests/golden tests/test_codec.py tests/test_inputs.py tests/test_public_api.py tests/test_sync_app.py

.PHONY: help setup fmt lint types test faults soak docs demo example-clickup example-shopify bench bench-peers check clean

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1@\2/p' Makefile | awk -F@ '{ printf "make %-15s %s\n", $$1, $$2 }'

setup: ## Create .venv with everything below needs (every target does this by itself)
	@sh tools/venv.sh > /dev/null

fmt: setup ## Format the code and repair what the linter can
	$(PYTHON) -m ruff format
	$(PYTHON) -m ruff check --fix

lint: setup ## Check format, lint rules and the layers of the architecture
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m ruff check
	.venv/bin/lint-imports --no-logo

types: setup ## Check types, strictly
	$(PYTHON) -m mypy

test: lint types ## Run lint, types and all tests on Python 3.11; those within one process also on the newest one found
	@pythons=$$(sh tools/venv.sh $(OLDEST) newest) || exit 1; \
	tests=tests; \
	for python in $$pythons; do \
		$$python -VV && $(COMPILED) $$python -m pytest $(PYTEST) $$tests || exit 1; \
		tests="$(IN_PROCESS)"; \
	done

faults: setup ## Run the tests that crash, freeze and cut off real processes
	$(COMPILED) $(PYTHON) -m pytest $(PYTEST) tests/faults

soak: setup ## Run minutes of random load and kills (not part of check)
	$(PYTHON) -m pytest -m soak --timeout 900

docs: setup ## Test that the documents tell the truth
	$(PYTHON) -m pytest tests/docs

demo: setup ## Enrich 28,000 airports while the worker is killed twice; count what was lost (nothing)
	@$(PYTHON) examples/airports/demo.py

example-clickup: setup ## Copy a work item to ClickUp while the worker is killed at every step; count what was done twice (nothing)
	@$(PYTHON) -m examples.copy_to_clickup.demo

example-shopify: setup ## Store a shop's orders while webhooks get lost and processes are killed; compare row by row
	@$(PYTHON) -m examples.shopify_orders.demo

bench: setup ## Measure speed as ratios to the raw limits of this machine
	@$(PYTHON) -m bench --engine stepwell

bench-peers: setup ## The same beside other engines, each installed in an environment of its own
	@$(PYTHON) bench/setup.py
	@$(PYTHON) -m bench

check: test demo ## What CI runs, and the demo in full

clean: ## Remove environments, caches and build results; keep databases
	rm -rf .venv .venvs bench/.venvs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
