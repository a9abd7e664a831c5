# SPDX-License-Identifier: Apache-2.0
# The commands a person needs; CMake (CMakePresets.json) does the work.
PREFIX  ?= /usr/local
DESTDIR ?=
JOBS    ?= $(shell nproc 2>/dev/null || echo 2)
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(JOBS)

.DEFAULT_GOAL := build
.PHONY: build deps check check-full demo fuzz bench install uninstall clean help

build: ## library and command (build/release), no tests
	@scripts/build.sh release -DVECQ_TESTS=OFF -DVECQ_BENCH=OFF -DCMAKE_INSTALL_PREFIX=$(PREFIX)

deps: ## install what building and testing need (Debian, Ubuntu); elsewhere print the list
	@scripts/install-deps.sh check

check: ## build with gcc, clang and sanitizers; run all tests
	@scripts/check.sh

check-full: ## check, and: thread sanitizer, every instruction set masked, valgrind, ten minutes of fuzzing
	@scripts/check.sh full

demo: ## train LeNet5 on Fashion-MNIST, bring it to 2 bits, print one table (minutes)
	@scripts/demo.sh

fuzz: ## libFuzzer on every target, FUZZ_SECONDS each (60)
	@scripts/fuzz.sh

bench: ## the benchmarks, with this machine's own bandwidth beside them
	@scripts/bench.sh

install: ## into PREFIX (/usr/local), staged below DESTDIR; needs `make` before it
	@test -f build/release/libvecq.a || { echo "make install: run make first" >&2; exit 1; }
	DESTDIR="$(DESTDIR)" cmake --install build/release --prefix "$(PREFIX)"

uninstall: ## remove what the last install wrote
	@scripts/uninstall.sh "$(DESTDIR)"

clean: ## remove build/
	rm -rf build

help: ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20
