# Every target that a developer or an operator needs. `make` alone lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
GO ?= go
BIN := bin/meddela
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME ?= 30s
SEED ?= 1
FOR ?= 30m
SEEDS ?= 1000
FIGURES ?= match status latency throughput memory

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: $(BIN)
$(BIN): # always: go itself knows what has changed
	$(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $@ ./cmd/meddela

.PHONY: build
build: $(BIN) ## build bin/meddela

.PHONY: demo
demo: $(BIN) ## see events of both lanes become statuses; needs nothing but Go
	$(BIN) demo

.PHONY: up
up: $(BIN) ## an embedded system on loopback, for kcat, redis-cli and you
	$(BIN) up

.PHONY: test
test: ## everything that needs no server, and the scenarios on the real servers when they are up
	@test/run

.PHONY: servers
servers: ## bring up Apache Kafka 4 and Redis 7 on loopback (BROKERS=3: a cluster)
	@test/servers/up

.PHONY: servers-down
servers-down: ## stop exactly what `make servers` started
	@test/servers/down

.PHONY: bench
bench: $(BIN) ## FIGURES on the real servers, beside their floors: throughput, latency, once, isolation, …
	$(GO) run ./test/bench $(FIGURES)

.PHONY: lint
lint: vuln size ## golangci-lint (imports, style, staticcheck), go.mod, scripts, vulnerabilities, size; needs shellcheck
	$(GO) run $(GOLANGCI) run ./...
	$(GO) mod tidy -diff
	shellcheck $$(git grep -lE '^#( shellcheck shell=bash|!/usr/bin/env bash)')

.PHONY: vuln
vuln: ## known vulnerabilities that the code calls (VULNDB=online: by vuln.go.dev)
	@test/vuln

.PHONY: size
size: ## lines of Go: the product, its tests, and what they may be
	@test/size

.PHONY: chart-static
chart-static: ## the chart without a cluster: lint, unit tests, schemas, rules
	@test/chart/static

.PHONY: chart-server
chart-server: ## the chart on a real API server, and faults that must be refused
	@test/chart/server

.PHONY: chart-node
chart-node: ## the chart's pods at work on a real node; as root
	@test/chart/node

.PHONY: image
image: ## the container image and its bill of materials, without a daemon
	@.ci/image/build

.PHONY: alerts
alerts: ## make eight alerts fire by their faults, on real servers; half an hour
	@test/alerts/run

.PHONY: chaos
chaos: ## a plan of faults by SEED (default 1), for FOR (default 30m), on real servers of its own under load; then all is counted
	$(GO) run ./test/chaos -seed $(SEED) -for $(FOR)

.PHONY: simulate
simulate: ## SEEDS (default 1000) plans of faults from SEED (default 1) on, in one process on a clock of its own
	$(GO) test ./cmd/meddela/internal/simulation -run TestSeeds -v -timeout 3h -seed $(SEED) -seeds $(SEEDS)

.PHONY: mutants
mutants: ## make thirteen defects, one at a time, and want the simulation to find each
	$(GO) test ./test/mutants -v -timeout 1h -try

.PHONY: fuzz
fuzz: ## run every fuzzer for FUZZTIME (default 30s)
	@test/fuzz $(FUZZTIME)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin .tools
