# The commands of this project. Everything they install stays in this folder, in .venv and .tools; `make clean` removes it.

PYENV_VERSIONS := $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions

# The first Python that meets a condition: $(call python,condition,candidates)
python = $(shell for p in $(2); do $$p -c 'import sys, venv, ensurepip; assert $(1); print(sys.executable)' 2>/dev/null && break; done)

# Python of the virtual environments.
PYTHON ?= $(call python,sys.version_info >= (3,11),python3 python3.13 python3.12 python3.11 $(wildcard $(PYENV_VERSIONS)/3.1[1-9]*/bin/python3))

# Python of the functions, which builds and imports them. The other targets do without it.
LAMBDA_PYTHON ?= $(call python,sys.version_info[:2] == (3,13),python3.13 python3 $(wildcard $(PYENV_VERSIONS)/3.13*/bin/python3.13))

ARCHITECTURE ?= arm64
MACHINE_ARCHITECTURE := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)
EVENT ?= events/slidescore/nuclei_in_a_rectangle.json
# Of an event, by its folder and file.
FUNCTION ?= $(or \
  $(if $(findstring events/kili/,$(EVENT)),KiliFunction), \
  $(if $(findstring events/aiware/ready,$(EVENT)),AiwareReadyFunction), \
  $(if $(findstring events/aiware/messages,$(EVENT)),AiwareMessagesFunction), \
  $(if $(findstring events/aiware/execution,$(EVENT)),AiwareReportFunction), \
  $(if $(findstring events/aiware/,$(EVENT)),AiwareProcessFunction), \
  SlideScoreFunction)
TESTS ?= tests --ignore=tests/contract
# As many workers as cores; WORKERS=0 runs the tests in one process.
WORKERS ?= auto
PYTEST = .venv/bin/python -m pytest -n $(WORKERS) --dist worksteal --durations 10
RULES ?= functions/kili/rules.yaml
ARGUMENTS ?=

export PYTHONPATH := $(CURDIR)/layers/shared:$(CURDIR)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export SAM_CLI_TELEMETRY := 0

.PHONY: help demo test test-thorough coverage lint format serve rules register-kili build size contract bench invoke lock clean
.DEFAULT_GOAL := help

help:  ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

demo: .venv/run  ## Fire sample webhooks at the whole bundle on this machine, check and draw what comes of them, in out/.
	.venv/bin/python -m local.demo

test: .venv/test  ## Run the tests, in parallel. TESTS=tests/unit/core runs some of them.
	$(PYTEST) $(TESTS)

test-thorough: .venv/test  ## Run what `make test` leaves out: every fault, 200 examples of each property, the simulators' own tests.
	$(PYTEST) --only-thorough $(TESTS)

coverage: .venv/test  ## Run the tests, and say which lines and branches of layers/shared they miss.
	$(PYTEST) --cov --cov-report=term:skip-covered $(TESTS)

lint: .venv/lint .tools/sam/installed .tools/template/installed  ## Check format, code, types and template.
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.tools/sam/bin/sam validate --lint
	.tools/template/bin/cfn-lint --append-rules cfn_lint_serverless.rules --template template.yaml
	.tools/template/bin/checkov --file template.yaml --compact --quiet --skip-download

format: .venv/lint  ## Format the code and mend what ruff can mend.
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

serve: .venv/run  ## Keep the bundle running on this machine, with simulated platforms. ARGUMENTS="--parameter KiliDryRun=true"
	.venv/bin/python -m local.serve $(ARGUMENTS)

rules: .venv/run  ## Say what a file of Kili rules checks, or what is wrong with it and where. RULES=functions/kili/rules.yaml
	.venv/bin/python -m annohooks.kili.rules $(RULES)

register-kili: .venv/run  ## Register the webhook with Kili: says what it would do, and does it when KILI_API_KEY is set. ARGUMENTS=--help
	.venv/bin/python -m annohooks.kili.register $(ARGUMENTS)

build: .tools/sam/installed lambda-python  ## Build for `sam deploy` into .aws-sam/build. ARCHITECTURE=arm64 (default) or x86_64.
	$(call sam-build,$(ARCHITECTURE),.aws-sam/build)

size: .venv/run .tools/sam/installed lambda-python  ## Build for both architectures; check each function's size, and that it imports with its own layers only.
	$(call sam-build,arm64,.aws-sam/size/arm64)
	$(call sam-build,x86_64,.aws-sam/size/x86_64)
	.venv/bin/python bench/size.py --lambda-python $(LAMBDA_PYTHON) --parameter SlideScoreOrigins=https://slides.example.org .aws-sam/size/arm64 .aws-sam/size/x86_64

contract: .tools/slidescore-sdk/installed .tools/kili-sdk/installed .tools/aion/installed .tools/aion-schemas/installed  ## Let the vendors' own SDKs and schemas judge our side and our simulated platforms (needs npm).
	.tools/slidescore-sdk/bin/python -m pytest --thorough tests/contract/slidescore
	.tools/kili-sdk/bin/python -m pytest --thorough tests/contract/kili
	AION_SCHEMAS=.tools/aion-schemas/package/schemas/vtn-standard .tools/aion/bin/python -m pytest --thorough tests/contract/aiware

bench: .venv/test .tools/slidescore-sdk/installed .tools/kili-sdk/installed  ## Measure beside what users would otherwise run; writes bench/results.json.
	SLIDESCORE_SDK_PYTHON=.tools/slidescore-sdk/bin/python KILI_SDK_PYTHON=.tools/kili-sdk/bin/python .venv/bin/python -m bench

invoke: .venv/run .tools/sam/installed lambda-python  ## Run one event in a container by `sam local invoke` (needs Docker). FUNCTION=... EVENT=events/...
	$(call sam-build,$(MACHINE_ARCHITECTURE),.aws-sam/invoke)
	SAM=.tools/sam/bin/sam .venv/bin/python -m local.invoke $(FUNCTION) $(EVENT)

clean:  ## Remove everything that make made.
	rm -rf .venv .tools .aws-sam out .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find bench engine functions layers local tests -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- virtual environments, from locks with hashes; each grows or is made anew when its lock changes

# uv installs in seconds what takes pip a minute or two. pip does it where there is no uv for the machine.
LOCKS := .ci/locks
UV := .tools/uv/bin/uv
PIP_INSTALL := -m pip install --quiet --no-deps --require-hashes

# $(call install,environment,lock)
define install
if test -x $(UV); then \
  { test -x $(1)/bin/python || $(UV) venv --quiet --clear --python $(PYTHON) $(1); } && \
  $(UV) pip install --quiet --python $(1)/bin/python --no-deps --require-hashes -r $(LOCKS)/$(2).txt; \
else \
  { $(1)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(1); } && \
  $(1)/bin/python $(PIP_INSTALL) -r $(LOCKS)/$(2).txt; \
fi
endef

.venv/run: $(LOCKS)/run.txt | .tools/uv/tried
.venv/test: $(LOCKS)/test.txt .venv/run
.venv/lint: $(LOCKS)/lint.txt .venv/test
.venv/run .venv/test .venv/lint:
	@echo "Installing $(LOCKS)/$(@F).txt into .venv"
	@$(call install,.venv,$(@F))
	@touch $@

.tools/%/installed: $(LOCKS)/%.txt | .tools/uv/tried
	@echo "Installing $< into $(@D)"
	@$(call install,$(@D),$*)
	@touch $@

.tools/uv/tried: $(LOCKS)/uv.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv was found. Say where one is: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python $(PIP_INSTALL) --only-binary=:all: -r $< 2>/dev/null || echo "There is no uv for this machine; pip installs instead, which takes longer."
	@touch $@

# $(call lock,requirements,lock,options): exact versions and hashes for every Python from 3.11 and every machine.
lock = $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" $(3) --output-file $(LOCKS)/$(2).txt $(1)

lock: .tools/uv/tried  ## Renew .ci/locks after a change of requirements.
	$(call lock,requirements.txt,run,--overrides $(LOCKS)/not_needed.txt)
	$(call lock,tests/requirements.txt,test)
	$(call lock,.ci/code.txt,lint)
	$(call lock,.ci/template.txt,template)
	$(call lock,.ci/sam.txt,sam)
	$(call lock,.ci/uv.txt,uv)
	$(call lock,tests/contract/slidescore/requirements.txt,slidescore-sdk)
	$(call lock,tests/contract/kili/requirements.txt,kili-sdk)
	$(call lock,tests/contract/aiware/requirements.txt,aion)

# Veritone's own schemas, as the vendor publishes them.
.tools/aion-schemas/installed: Makefile
	rm -rf $(@D) && mkdir -p $(@D)
	cd $(@D) && npm pack --silent veritone-json-schemas@1.2.0 && tar xzf veritone-json-schemas-1.2.0.tgz
	@touch $@

# ---- building

# $(call sam-build,architecture,folder)
# Lambda cannot write .pyc files beside a layer: without them, every cold start would compile all it imports. Making room for them, the
# libraries' own tests go.
define sam-build
PATH="$(dir $(LAMBDA_PYTHON)):$$PATH" .tools/sam/bin/sam build --parameter-overrides Architecture=$(1) --build-dir $(2)
for layer in $(2)/*Layer; do \
  find $$layer/python -type d -name tests -prune -exec rm -rf {} + && \
  $(LAMBDA_PYTHON) -m compileall -q -j 0 --invalidation-mode unchecked-hash -s $$layer -p /opt $$layer/python || exit 1; \
done
endef

.PHONY: lambda-python
lambda-python:
	@test -n "$(LAMBDA_PYTHON)" || { echo "Building needs Python 3.13. Say where it is: make LAMBDA_PYTHON=/path/to/python3.13 ..." >&2; exit 1; }
