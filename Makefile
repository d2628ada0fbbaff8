# Run `make` for what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Tools are run by Go at these versions; nothing is installed and go.mod does
# not change.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
SYFT        := github.com/anchore/syft/cmd/syft@v1.52.0

GO       ?= go
DIRS     := cmd gateway store metrics deploy
PROGRAMS := sse-gateway sse-bench
# As in deploy/Dockerfile: static, and without paths of this machine.
BUILD    := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=auto -ldflags='-s -w'
PLATFORMS := linux/amd64 linux/arm64 darwin/arm64

# Modules: this one, and those that hold tests of clients in other modules.
MODULES := $(sort $(dir $(shell find . -name go.mod -not -path '*/node_modules/*')))

# How many packages of this module are tested at a time; beside them is one of the other
# modules. Most tests wait for something, so three are not too many for two cores.
PACKAGES ?= 2
# -count=1: what the tests start (Redis, nginx, browsers) is unknown to Go's cache of
# results. -vet=off: `make lint` runs all of go vet.
TESTFLAGS ?= -race -count=1 -vet=off -timeout 10m
BENCHTIME ?= 1s
# A program with the race detector waits a second before it exits, in case a race is
# still to come. There are 50 of them, and each has waited for its goroutines.
export GORACE ?= atexit_sleep_ms=10

# run-tests runs the tests that match a name, and fails if there are none.
#   $(call run-tests,flags,name,packages)
define run-tests
$(GO) test -list '$(2)' $(3) | grep '^Test' >/dev/null || { echo 'no test matches $(2) in $(3)' >&2; exit 1; }
$(GO) test $(1) -count=1 -run '$(2)' $(3)
endef

# each-module runs a command in the directory of every module, or of those that are
# given, and fails at the end if it failed in one of them.
#   $(call each-module,command,modules)
define each-module
@status=0; for dir in $(or $(2),$(MODULES)); do \
	echo "$$dir: $(1)"; (cd "$$dir" && $(1)) || status=1; \
done; exit $$status
endef

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.PHONY: dev
dev: ## everything in one process, to try it: http://127.0.0.1:8080
	@$(GO) run ./cmd/sse-gateway dev

.PHONY: build
build: ## static binaries in bin/
	@mkdir -p bin
	for program in $(PROGRAMS); do $(BUILD) -o bin/$$program ./cmd/$$program; done

.PHONY: test
test: deps ## all tests, with the race detector
	@$(MAKE) --no-print-directory --keep-going -j2 test-main test-beside

.PHONY: test-main test-beside
test-main:
	$(GO) test $(TESTFLAGS) -p $(PACKAGES) ./...
test-beside:
	$(call each-module,$(GO) test $(TESTFLAGS) -p 1 ./...,$(filter-out ./,$(MODULES)))

# `make test` has those of them that can differ.
.PHONY: test-net-http
test-net-http: deps ## all tests of the gateway over net/http alone, as where there is no epoll
	SSE_TEST_WAY_IN=net/http $(GO) test $(TESTFLAGS) ./gateway

# What npm installs is for these tests only, so they are no part of `make test`.
.PHONY: clients
clients: deps ## the clients of deploy/clients that npm has
	cd deploy/clients/testdata/npm && npm ci --no-audit --no-fund
	cd deploy/clients && $(GO) test -tags npm -race -count=1 -vet=off -timeout 10m -run '^TestNPM' .

# Any Redis from 6.2 on, and Valkey: it is the first redis-server in PATH that counts.
.PHONY: test-store
test-store: ## the tests of the store alone, which need only redis-server
	redis-server --version
	$(GO) test $(TESTFLAGS) -p $(PACKAGES) ./store/...

.PHONY: deps
deps: ## Debian packages that the tests need and this machine lacks
	@.ci/deps

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, and a build for every platform of a release
	@unformatted=$$(gofmt -l $(DIRS)); if [ -n "$$unformatted" ]; then \
		echo "not formatted (make fmt):" >&2; echo "$$unformatted" >&2; exit 1; fi
	$(call each-module,$(GO) vet ./... && $(GO) run $(STATICCHECK) ./...)
	@for platform in $(PLATFORMS); do \
		echo "go build ./... for $$platform"; \
		CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO) build -o /dev/null ./...; \
	done

.PHONY: fmt
fmt: ## format the code
	gofmt -w $(DIRS)

.PHONY: bench
bench: build ## Go benchmarks, then the gateway under load, beside nchan if nginx has it
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -p 1 ./...
	if [ -x deploy/bench/run.sh ]; then deploy/bench/run.sh; fi

.PHONY: chaos
chaos: deps ## the long form of the fault tests: rolls, kills, failovers under load
	$(call run-tests,-timeout 30m -v,TestChaos,./cmd/sse-bench/... ./cmd/sse-gateway/... ./deploy)

.PHONY: million
million: deps ## a million streams on this machine, 24 GB and 7 to 15 minutes: what they take
	deploy/bench/million.sh

.PHONY: soak
soak: deps ## 30 minutes of connects, disconnects and events; memory must stay flat
	deploy/bench/soak.sh

chaos: export SSE_CHAOS = long

.PHONY: screenshot
screenshot: deps ## the picture of the page in README, anew
	dir=$$(mktemp -d) && $(GO) test -count=1 -run '^TestBrowserTour$$/^looks$$' -artifacts -outputdir "$$dir" ./cmd/sse-gateway && \
		find "$$dir" -name readme.png -exec cp {} gateway/console/screenshot.png \; && rm -r "$$dir"

.PHONY: release
release: lint ## binaries for every platform, checksums and an SBOM in dist/
	rm -rf dist && mkdir dist
	for platform in $(PLATFORMS); do \
		os=$${platform%/*}; arch=$${platform#*/}; \
		for program in $(PROGRAMS); do \
			GOOS=$$os GOARCH=$$arch $(BUILD) -o dist/$$program-$$os-$$arch ./cmd/$$program; \
		done; \
	done
	SYFT_CHECK_FOR_APP_UPDATE=false CGO_ENABLED=0 $(GO) run $(SYFT) scan -q file:dist/sse-gateway-linux-amd64 -o cyclonedx-json=dist/sse-gateway.cdx.json
	cd dist && sha256sum -- * > SHA256SUMS && cat SHA256SUMS

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
