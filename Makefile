# make venv      everything below works in .venv, made when missing
# make test      the tests that need no root and no network: under a minute
# make test-all  all of them: root, mmdebstrap, systemd-nspawn, loop devices, a Debian mirror
# make lint      ruff, mypy on the built tree, shellcheck
# make runtime   the static Python of the packages, from pinned sources: musl-tools, 3 minutes
# make dist      dist/: .deb, .rpm, the single file, sdist, wheel, SHA256SUMS; debhelper, rpm
# make test-packages  dist/ installed, run and removed in trees of each distribution
# make bench     time and memory of img-check on real trees; IMG_CHECK_SH=path of DigitalOcean's script

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
PYTEST = $(BIN)/pytest -n $(JOBS) --dist worksteal
JOBS = auto
SHELL_FILES = .ci/run

VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' img_tools/__init__.py)
RUNTIME = build/runtime
PROGRAM = build/img-tools
STAGE = build/stage
SOURCES := $(shell find img_tools checks cleaners -name '*.py' -o -name '*.json')
# All that is built has the time of the release, whoever builds it when.
export SOURCE_DATE_EPOCH := $(shell date +%s -d "$$(sed -n '/^ -- .*>  /{s///p;q}' debian/changelog)")

.PHONY: venv test test-all test-packages lint bench runtime stage deb rpm dist clean

venv: $(VENV)/made

$(VENV)/made: setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[test,lint,dist]'
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
	$(BIN)/mypy --config-file pyproject.toml --cache-dir build/mypy tests/rootfs tests/container tests/erase benchmarks conftest.py
	shellcheck $(SHELL_FILES)

runtime: $(RUNTIME)/link

$(RUNTIME)/link: packaging/runtime.py packaging/sources.toml $(wildcard packaging/patches/*.patch)
	$(PYTHON) packaging/runtime.py $(RUNTIME)

# The hash seed shows in the order of sets, and so in the frozen code.
$(PROGRAM): $(RUNTIME)/link packaging/link.py packaging/start.py packaging/launcher.c $(SOURCES)
	env -i PATH="$$PATH" PYTHONHASHSEED=0 $(RUNTIME)/python -S -B packaging/link.py $(RUNTIME) $@

stage: $(STAGE)/usr/bin/img-check

$(STAGE)/usr/bin/img-check: $(PROGRAM) packaging/stage.py README.md | venv
	$(BIN)/python packaging/stage.py $(PROGRAM) $(RUNTIME) $(STAGE)

deb: stage
	rm -rf build/deb
	mkdir -p build/deb/img-tools dist
	cp -a debian build/deb/img-tools/
	cd build/deb/img-tools && STAGE=$(abspath $(STAGE)) dpkg-buildpackage -us -uc -b -d
	cp build/deb/img-tools_$(VERSION)_amd64.deb dist/

rpm: stage
	rm -rf build/rpm
	mkdir -p dist
	rpmbuild -bb --quiet --target x86_64 --dbpath $(abspath build/rpm/db) \
	    --define '_topdir $(abspath build/rpm)' --define 'version_of_img_tools $(VERSION)' \
	    --define 'stage $(abspath $(STAGE))' --define 'licence $(abspath LICENSE)' \
	    --define 'packager $(shell sed -n 's/^Maintainer: //p' debian/control)' \
	    rpm/img-tools.spec
	cp build/rpm/RPMS/x86_64/img-tools-$(VERSION)-1.x86_64.rpm dist/

dist: venv
	rm -rf dist
	$(MAKE) deb rpm
	cp $(PROGRAM) dist/img-tools-$(VERSION)-linux-x86_64
	$(BIN)/python -m build --outdir dist . >build/build.log || { cat build/build.log; false; }
	$(PYTHON) packaging/repack.py dist/img_tools-$(VERSION).tar.gz
	cd dist && sha256sum -- * >../build/SHA256SUMS && mv ../build/SHA256SUMS .

test-packages: dist
	$(BIN)/pytest -n $(JOBS) --dist worksteal tests/packaging

bench: venv
	$(BIN)/python -m benchmarks.img_check

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
