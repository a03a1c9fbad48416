# Needs make and Python 3.11 or newer, nothing else. Every path below is relative, so that the
# project may lie in a folder whose name has a space.
.NOTPARALLEL:
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV_PYTHON := .venv/bin/python

# The first interpreter that runs and is new enough; `make PYTHON=...` names another one.
FIND_PYTHON = found=; for candidate in "$(PYTHON)" python3.13 python3.12 python3.11 python3 python; do \
	[ -n "$$candidate" ] || continue; \
	if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
		found=$$candidate; break; \
	fi; \
done; \
if [ -z "$$found" ]; then \
	echo 'Tandem needs Python 3.11 or newer, and none was found on the PATH.' >&2; \
	echo 'Install it (Debian, Ubuntu: apt install python3 python3-venv), or name it:' >&2; \
	echo '    make demo PYTHON=/path/to/python3.12' >&2; \
	exit 1; \
fi

# $(call step,what,command): say what, run it, say how long it took; a failure stops make.
define step
	@echo '==> $(1)'; start=$$(date +%s); { $(2); } && echo "    done in $$(( $$(date +%s) - start )) s"
endef

.PHONY: help demo test check lint-fix interop up clean install-demo install-dev

help: ## list the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: install-demo ## learn a mixture of seven real text domains and show the evidence (minutes)
	@$(VENV_PYTHON) -m demo $(ARGS)

test: check ## all checks and all tests that need no GPU, on real Postgres and Valkey
	$(call step,Tests: unit$(comma) integration and end to end,$(VENV_PYTHON) -m pytest)

check: install-dev ## ruff, mypy --strict and the import contracts
	$(call step,ruff check,$(VENV_PYTHON) -m ruff check .)
	$(call step,ruff format --check,$(VENV_PYTHON) -m ruff format --check .)
	$(call step,mypy --strict,$(VENV_PYTHON) -m mypy)
	$(call step,import contracts,.venv/bin/lint-imports)

lint-fix: install-dev ## repair what ruff can repair
	@$(VENV_PYTHON) -m ruff check --fix .
	@$(VENV_PYTHON) -m ruff format .

interop: install-dev ## load exports with the trainers' own libraries, in environments of their own
	@$(VENV_PYTHON) .ci/interop.py $(ARGS)

quality: install-dev ## is the learned mixture better? a real corpus, free rules, an oracle, 3 seeds
	@$(VENV_PYTHON) -m benchmarks.quality --replicates 3 --search 32 $(ARGS)

up: install-demo ## start Postgres, Valkey, the API and a worker here; Ctrl-C stops all of it
	@.venv/bin/tandem up --data .tandem $(ARGS)

clean: ## remove .venv, .interop, caches and what demo and quality wrote; jobs in .tandem stay
	@rm -rf .venv .interop build dist demo-output quality-output *.egg-info .coverage
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
	@echo 'Removed .venv, .interop, caches, demo-output and quality-output; jobs in .tandem stay.'

install-demo:
	@$(FIND_PYTHON); "$$found" .ci/install.py demo

install-dev:
	@$(FIND_PYTHON); "$$found" .ci/install.py dev

comma := ,
