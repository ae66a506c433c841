# make venv      everything below works in .venv, made when missing
# make test      the tests that need no root and no network: under a minute
# make test-all  all of them: root, mmdebstrap, systemd-nspawn, QEMU, loop devices, a mirror; trees are cached
# make test-vm   what make dist built, in virtual machines: build, clean, snapshot, two clones; QEMU
#                CLEANUP_SH=path of DigitalOcean's script: what it leaves on the same disks, too
# make lint      ruff, mypy on the built tree, shellcheck
# make runtime   the static Python of the packages, from pinned sources: musl-tools, 3 minutes
# make dist      dist/: .deb, .rpm, the single file, sdist, wheel, SHA256SUMS; debhelper, rpm
# make dist ARCH=aarch64  the same in dist-aarch64/, built with zig
# make test-packages  dist/ installed, run and removed in trees of each distribution
# make test-integrations  Packer, Fabric and Ansible with dist/, against containers and QEMU: packer,
#                qemu-system-x86, qemu-utils, e2fsprogs, iproute2, curl
# make bench     time and memory of img-check on real trees; IMG_CHECK_SH=path of DigitalOcean's script
#                and of its search for secrets, beside grep

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
PYTEST = $(BIN)/pytest -n $(JOBS) --dist worksteal
JOBS = auto
SHELL_FILES = .ci/run $(wildcard integrations/packer/*.sh)

VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' img_tools/__init__.py)
ARCH = x86_64
DEB_ARCH = $(if $(filter aarch64,$(ARCH)),arm64,amd64)
# What is not for the machine that builds has names of its own.
OTHER = $(if $(filter aarch64,$(ARCH)),-aarch64)
NATIVE = build/runtime
RUNTIME = $(NATIVE)$(OTHER)
PROGRAM = build/img-tools$(OTHER)
STAGE = build/stage$(OTHER)
DIST = dist$(OTHER)
SOURCES := $(shell find img_tools checks cleaners -name '*.py' -o -name '*.json')
# All that is built has the time of the release, whoever builds it when.
export SOURCE_DATE_EPOCH := $(shell date +%s -d "$$(sed -n '/^ -- .*>  /{s///p;q}' debian/changelog)")

.PHONY: venv test test-all test-packages test-integrations test-vm lint bench runtime stage deb rpm dist clean

venv: $(VENV)/made

$(VENV)/made: setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[test,lint,dist,integrations]'
	touch $@

test: venv
	$(PYTEST) -m "not rootfs"

test-all: venv
	$(PYTEST) --ignore tests/vm
	$(MAKE) test-vm

# A process for each release.
test-vm: venv
	$(BIN)/pytest -n 2 tests/vm

# mypy does not see the mapping of an editable install, hence the built tree.
lint: venv
	$(BIN)/ruff check .
	$(BIN)/python setup.py -q build --build-base build/lint
	cd build/lint/lib && ../../../$(BIN)/mypy --config-file ../../../pyproject.toml img_tools
	$(BIN)/mypy --config-file pyproject.toml --cache-dir build/mypy tests/rootfs tests/container tests/erase tests/vm \
	    benchmarks \
	    conftest.py integrations/fabric \
	    $(addprefix tests/integrations/,cloud.py conftest.py droplets.py network.py)
	$(BIN)/ansible-lint --offline --strict integrations/ansible
	shellcheck $(SHELL_FILES)

runtime: $(RUNTIME)/link

BUILT_FROM = $(addprefix packaging/,runtime.py sources.py sources.toml) \
    $(wildcard packaging/patches/*.patch)

$(NATIVE)/link: $(BUILT_FROM)
	$(PYTHON) packaging/runtime.py $(NATIVE)

$(NATIVE)-aarch64/link: $(NATIVE)/link
	$(PYTHON) packaging/runtime.py $(NATIVE)-aarch64 $(NATIVE)

# The hash seed shows in the order of sets, and so in the frozen code. Debug ranges are the columns
# in tracebacks: a twentieth of the frozen code, and nobody sees them.
$(PROGRAM): $(RUNTIME)/link $(addprefix packaging/,link.py memo.py start.py launcher.c memcmp.c) $(SOURCES)
	env -i PATH="$$PATH" PYTHONHASHSEED=0 PYTHONNODEBUGRANGES=1 $(RUNTIME)/python -S -B \
	    packaging/link.py $(RUNTIME) $@

stage: $(STAGE)/usr/bin/img-check

$(STAGE)/usr/bin/img-check: $(PROGRAM) packaging/stage.py README.md $(wildcard docs/*.md) | venv
	$(BIN)/python packaging/stage.py $(PROGRAM) $(RUNTIME) $(STAGE)

deb: stage
	rm -rf build/deb
	mkdir -p build/deb/img-tools $(DIST)
	cp -a debian build/deb/img-tools/
	cd build/deb/img-tools && STAGE=$(abspath $(STAGE)) \
	    dpkg-buildpackage --host-arch $(DEB_ARCH) -us -uc -b -d
	cp build/deb/img-tools_$(VERSION)_$(DEB_ARCH).deb $(DIST)/

rpm: stage
	rm -rf build/rpm
	mkdir -p $(DIST)
	rpmbuild -bb --quiet --target $(ARCH) --dbpath $(abspath build/rpm/db) \
	    --define '_topdir $(abspath build/rpm)' --define 'version_of_img_tools $(VERSION)' \
	    --define 'stage $(abspath $(STAGE))' --define 'licence $(abspath LICENSE)' \
	    --define 'packager $(shell sed -n 's/^Maintainer: //p' debian/control)' \
	    rpm/img-tools.spec
	cp build/rpm/RPMS/$(ARCH)/img-tools-$(VERSION)-1.$(ARCH).rpm $(DIST)/

dist: venv
	rm -rf $(DIST)
	$(MAKE) deb rpm
	cp $(PROGRAM) $(DIST)/img-tools-$(VERSION)-linux-$(ARCH)
	$(BIN)/python -m build --outdir $(DIST) . >build/build.log || { cat build/build.log; false; }
	$(PYTHON) packaging/repack.py $(DIST)/img_tools-$(VERSION).tar.gz
	cd $(DIST) && sha256sum -- * >../build/SHA256SUMS && mv ../build/SHA256SUMS .

test-packages: dist
	$(BIN)/pytest -n $(JOBS) --dist worksteal tests/packaging

test-integrations: dist
	$(PYTEST) tests/integrations

bench: venv
	$(BIN)/python -m benchmarks.img_check
	$(BIN)/python -m benchmarks.secrets

clean:
	rm -rf $(VENV) build dist dist-aarch64 *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
