# make run    sets everything up and runs the default study to its report
# make test   sets everything up and runs the tests
# make docs   makes a site of the documentation in site/
# make bench  times the engine beside the conventional loop and the machine's limit
# make figures-published  makes the published verdicts, tables, figures and pages anew
# make verify makes three random runs again and compares bits (ARGS="--sample 10")

PYTHON ?= python3
CORES ?= all
VENV := .venv
READY := $(VENV)/.ready
# It says which list was installed, and that stays until another one is asked for.
INSTALLED := $(shell cat $(READY) 2> /dev/null)
LOCK ?= $(or $(INSTALLED),envs/requirements-cpu.txt)

.PHONY: run test bench verify figures-published lint docs install clean

run: $(READY)
	$(VENV)/bin/snakemake --cores $(CORES) $(ARGS)

# Four workers keep two cores busy: Slurm's tests wait for most of their minutes.
test: $(READY)
	$(VENV)/bin/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

bench: $(READY)
	$(VENV)/bin/python benchmarks/bench.py $(ARGS)

verify: $(READY)
	$(VENV)/bin/python workflow/scripts/verify.py $(ARGS)

figures-published: $(READY)
	$(VENV)/bin/python workflow/scripts/redraw.py $(ARGS)

lint: $(READY)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/snakefmt --check Snakefile workflow/rules
	$(VENV)/bin/snakemake --lint

docs: $(READY)
	$(VENV)/bin/mkdocs build --strict $(ARGS)

clean:
	rm -rf $(VENV)

ifneq ($(LOCK),$(INSTALLED))
.PHONY: $(READY)
endif

# A second make in this folder waits for the first, and then finds all done.
$(READY): $(LOCK) pyproject.toml
	@exec 9> .make.lock; if command -v flock > /dev/null; then flock 9; fi; \
	    [ $@ -nt $(LOCK) ] && [ $@ -nt pyproject.toml ] && [ "$$(cat $@)" = "$(LOCK)" ] || \
	    $(MAKE) --no-print-directory install

install:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "jackpot needs Python 3.11 or newer; this is $$($(PYTHON) --version)." \
	           "Name another one: make PYTHON=python3.12 run"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	    { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $(LOCK)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo "$(LOCK)" > $(READY)
