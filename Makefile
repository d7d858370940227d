# The commands of this repository. Each sets up what it needs; the second time that takes no time.
#
#   make demo    a simulated drive, fused in front of you, and what came of it
#   make test    all tests
#   make check   lint, format and types, as the gate does
#   make setup   only the environment in .venv (Python 3.11 or newer; nothing else is needed)
#   make clean   remove the environment and all caches

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.PHONY: demo test check setup clean

demo: $(READY)
	$(BIN)/tectum demo $(ARGS)

test: $(READY)
	$(BIN)/python -m pytest $(ARGS)

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

setup: $(READY)

$(READY): pyproject.toml .ci/setup .ci/opencv
	.ci/setup $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
