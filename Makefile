# What can be done with this project. `make` alone prints the list.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON := .venv/bin/python

# What Python compiles it keeps, whatever the shell says: the tests start it some hundred times.
unexport PYTHONDONTWRITEBYTECODE

# Two more than there are processors, eight at most: a test waits, and what it waits for computes. With
# more of them stacks would stand for longer, and take what they take at rest. See tests/side_by_side.py.
PROCESSES := $(shell n=$$(nproc); echo $$((n < 6 ? n + 2 : 8)))

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: demo demo-down
demo: venv ## set up all that is missing, start the quickstart, and give a tour of it
	$(PYTHON) -m examples.quickstart.tour

demo-down: venv ## remove the demo, the images built for it, the Engine if it started that
	$(PYTHON) -m examples.quickstart.tour --down
	$(PYTHON) -m provision down

.PHONY: test test-unit test-failed
test: venv probe ## unit, contract and system tests, on real parts that it sets up first
	$(PYTHON) -m provision up || [ $$? -eq 3 ] # 3: not to be had here; the tests then say so
	$(PYTHON) -m pytest --numprocesses $(PROCESSES) --durations 20

test-unit: venv ## the tests that need nothing but Python
	$(PYTHON) -m pytest tests/unit

test-failed: venv ## what failed in the last run, again, one after another
	$(PYTHON) -m pytest --last-failed --last-failed-no-failures none

.PHONY: lint format
lint: venv ## ruff, mypy --strict, and the layers of the house
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: venv ## let ruff lay out the code
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.PHONY: probe
probe: venv ## the static healthprobe binaries, into probes/dist
	$(PYTHON) -m probes.build

.PHONY: image agent-image wheel
image: venv probe ## healthprobe:dev, an image of the probe alone, to COPY --from
	$(PYTHON) -m probes.image

agent-image: venv probe ## healthagent:dev, the agent's image, with the command line in it
	$(PYTHON) -m provision agent

wheel: venv probe ## the wheel, with both probes in it, into dist
	$$([ -x build/uv/bin/uv ] && echo build/uv/bin/uv || command -v uv) build --wheel

.PHONY: bench-probe
bench-probe: venv probe ## the probe beside curl, wget, busybox, Bun, Node and Python
	$(PYTHON) -m benchmarks.probe

.PHONY: bench-agent
bench-agent: venv probe ## what the agent costs beside 3 and beside 30 replicas
	$(PYTHON) -m benchmarks.agent

.PHONY: bench-detect bench-judge soak
bench-detect: venv probe ## how soon each failure mode is named for what it is
	$(PYTHON) -m benchmarks.detect

bench-judge: venv ## what it takes to judge a thousand replicas, and to keep them
	$(PYTHON) -m benchmarks.judge

soak: venv probe ## ten minutes under load with the cores busy: nothing healthy may be called failed
	$(PYTHON) -m benchmarks.soak

.PHONY: bench-routing
bench-routing: venv probe ## what is lost while replicas are rolled, killed, frozen; and who heals them
	$(PYTHON) -m benchmarks.routing

.PHONY: acceptance
acceptance: venv probe ## the whole migration on real parts, into build/acceptance.md
	$(PYTHON) -m benchmarks.acceptance

.PHONY: venv
venv: ## the project's own Python, as uv.lock says
	@sh provision/venv.sh

.PHONY: clean
clean: ## stop what was set up, and remove all that was built
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m provision down; fi
	rm -rf .venv build dist probes/dist
