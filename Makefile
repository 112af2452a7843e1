# The two commands of the README: `make demo` and `make test`. Each makes the
# environment it needs in .venv, with the versions of requirements.lock.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
RUN = $(VENV)/bin/python
INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check -c requirements.lock
WORKERS ?= 2

.PHONY: help setup demo test lint web web-dist benchmarks lock clean

help:
	@echo "make demo        train, evaluate, export and run the speech recogniser"
	@echo "make test        linters, types and every test"
	@echo "make web         build the page that draws, listens and reads, and serve it"
	@echo "make web-dist    its folder alone, dist/web, for any static host"
	@echo "make benchmarks  the speed tables of docs/ (quiet machine, minutes each)"
	@echo "make lock        write requirements.lock anew from what pip resolves"
	@echo "make clean       remove .venv and the demo's run"

$(VENV)/.apps: pyproject.toml requirements.lock
	@echo "installing seqcore and its applications into $(VENV)"
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e '.[apps]'
	@touch $@

$(VENV)/.test: $(VENV)/.apps
	@echo "installing the test tools and the other Keras backends into $(VENV)"
	$(INSTALL) -e '.[apps,test]'
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	@echo "installing the peers that the benchmarks measure against into $(VENV)"
	$(INSTALL) -e '.[apps,test,bench]'
	@touch $@

setup: $(VENV)/.apps

demo: setup
	rm -rf runs/demo
	$(RUN) -m apps.speech train --workdir runs/demo --set epochs=40
	$(RUN) -m apps.speech evaluate runs/demo/model.tflite
	$(RUN) -m apps.speech say yes --out runs/demo/yes.wav
	$(RUN) -m apps.speech predict runs/demo/model.tflite runs/demo/yes.wav
	@echo "the report is runs/demo/report.md"

lint: $(VENV)/.test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# The page's packages, at the versions of its lock; the page's tests are skipped,
# with the reason, where npm is missing or nothing answers it.
apps/web/node_modules/.ready: apps/web/package-lock.json
	@if command -v npm > /dev/null; then \
	  echo "installing the page's packages into apps/web/node_modules"; \
	  npm ci --prefix apps/web --silent && touch $@ \
	    || echo "npm ci failed: the page cannot be built or tested"; \
	else echo "no npm: the page cannot be built or tested"; fi

web: setup apps/web/node_modules/.ready
	$(RUN) -m apps.web serve

web-dist: setup apps/web/node_modules/.ready
	$(RUN) -m apps.web build

test: lint apps/web/node_modules/.ready
	$(RUN) -m pytest -n $(WORKERS) --dist worksteal

benchmarks: $(VENV)/.bench
	$(RUN) -m benchmarks.training
	$(RUN) -m benchmarks.inference

lock: $(VENV)/.bench
	{ echo "# Exact versions that the tests run with; a constraints file for pip."; \
	  $(RUN) -m pip freeze --exclude-editable | grep -v ' @ ' | sed 's/+cpu$$//'; } \
	  > requirements.lock.new
	mv requirements.lock.new requirements.lock

clean:
	rm -rf $(VENV) runs/demo apps/web/node_modules dist
