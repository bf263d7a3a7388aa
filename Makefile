# Two commands matter to a newcomer: `make demo` and `make test`. Both set everything up first.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo test lint types unit old-runtime setup lock build-setup bench-setup fuzz fuzz-setup clean

demo: setup
	$(BIN)/facelatch demo

test: lint types old-runtime unit

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

unit: setup
	$(BIN)/pytest --numprocesses auto --dist loadfile

setup: $(VENV)/.installed

$(VENV)/.installed: requirements/dev.txt requirements/demo.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "facelatch needs Python 3.11 or later; set PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/demo.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# tflite-runtime's wheels end at Python 3.11; on a newer one its test is skipped by name.
OLD_RUNTIME := .venv-tflite-runtime
old-runtime:
	@if $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then $(MAKE) --no-print-directory $(OLD_RUNTIME)/.installed; fi

$(OLD_RUNTIME)/.installed: requirements/tflite-runtime.txt
	$(PYTHON) -m venv $(OLD_RUNTIME)
	$(OLD_RUNTIME)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tflite-runtime.txt
	touch $@

build-setup: $(VENV)/.build-installed

$(VENV)/.build-installed: requirements/build.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	touch $@

# What a user would run instead, for `python -m tools.bench`.
bench-setup: $(VENV)/.bench-installed

# One of them has no wheel: what builds it is locked, too, instead of what pip would fetch for that.
$(VENV)/.bench-installed: requirements/bench.txt requirements/sdist.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/sdist.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation -r requirements/bench.txt
	touch $@

fuzz-setup: $(VENV)/.fuzz-installed

$(VENV)/.fuzz-installed: requirements/fuzz.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	touch $@

# A million inputs for each reader: an hour or two. What is found new stays in build/fuzz for the next run.
RUNS ?= 1000000
fuzz: fuzz-setup
	$(BIN)/python -m tests.fuzz all --runs $(RUNS) --note docs/evidence/fuzzing.txt

# The tests of what builds and attacks need further packages; some have no aarch64 wheel, and there they are skipped. The fuzzer's
# own (minutes) are run where `make fuzz-setup` was.
ifeq ($(shell uname -m),x86_64)
unit: build-setup
endif

# Needs uv on the path. No index address is written into the locks.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock"
lock:
	$(LOCK) pyproject.toml -o requirements/runtime.txt
	$(LOCK) pyproject.toml --extra dev -o requirements/dev.txt
	$(LOCK) pyproject.toml --extra dev --extra build -o requirements/build.txt
	$(LOCK) pyproject.toml --extra dev --extra fuzz -o requirements/fuzz.txt
	$(LOCK) pyproject.toml --extra dev --extra bench -o requirements/bench.txt
	$(LOCK) requirements/sdist.in -o requirements/sdist.txt
	$(LOCK) --no-deps requirements/demo.in -o requirements/demo.txt
	$(LOCK) requirements/tflite-runtime.in -o requirements/tflite-runtime.txt
	$(LOCK) --no-deps requirements/picamera2.in -o requirements/picamera2.txt

clean:
	rm -rf $(VENV) $(OLD_RUNTIME) .mypy_cache .ruff_cache .pytest_cache .hypothesis build
