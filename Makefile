# make venv      everything below works in .venv, made when missing
# make test      the tests that need no root and no network: under a minute
# make test-all  all of them: root, mmdebstrap, systemd-nspawn, a Debian mirror; trees are cached
# make lint      ruff, mypy on the built tree, shellcheck
# make bench     time and memory of img-check on real trees; IMG_CHECK_SH=path of DigitalOcean's script

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
PYTEST = $(BIN)/pytest -n $(JOBS) --dist worksteal
JOBS = auto
SHELL_FILES = .ci/run

.PHONY: venv test test-all lint bench clean

venv: $(VENV)/made

$(VENV)/made: setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[test,lint]'
	touch $@

test: venv
	$(PYTEST) -m "not rootfs"

test-all: venv
	$(PYTEST)

# mypy does not see the mapping of an editable install, hence the built tree.
lint: venv
	$(BIN)/ruff check .
	$(BIN)/python setup.py -q build --build-base build/lint
	cd build/lint/lib && ../../../$(BIN)/mypy --config-file ../../../pyproject.toml img_tools
	$(BIN)/mypy --config-file pyproject.toml --cache-dir build/mypy tests/rootfs tests/container benchmarks conftest.py
	shellcheck $(SHELL_FILES)

bench: venv
	$(BIN)/python -m benchmarks.img_check

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
