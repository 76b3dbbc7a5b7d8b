# l4fwd: one entry point for people and for CI. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := build

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
BUILD   := build
FUZZTIME ?= 15s
SOAK     ?= 60s
DEPLOY_CHECKS := terraform systemd observability manifests image release
GOTEST   ?= go test
STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2

need-go = command -v go >/dev/null || { echo "make: go 1.26 or newer is missing: install it from https://go.dev/dl" >&2; exit 1; }

.PHONY: help build test race fuzz soak mutate shape size lint bench demo docs kernels image packages release deploy-check clean $(DEPLOY_CHECKS:%=deploy-check-%)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 24

build: ## build/l4fwd for this machine
	@$(need-go)
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BUILD)/l4fwd ./cmd/l4fwd

# Packages are begun in the order they are named in: the longest at the end would run alone.
longest-first := ./proxy/relay ./cmd/l4fwd ./cmd/l4fwd/soak ./eip ./proxy
# Most tests wait for something: more packages, and more parallel tests of each, at once than there are processors. Not under the race
# detector, which has them work.
beside := $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 3 / 2 )))
waiting := $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) * 2 )))

test: ## all tests
	@$(need-go)
	$(GOTEST) -p $(beside) -parallel $(waiting) -count=1 $(longest-first) ./...

# What is not of the product is not tested so: the load test and its parts, and the documents' commands; nor are verbs that print a text
# from one goroutine, since each of their many processes takes the detector half a second to begin.
one-goroutine := ^Test(Completion|ManualPages|Help|Import|ExitStatuses|UsageErrors|Version|WhatCheckPrints|NamesThatOthers)
race: ## the product's tests under the race detector
	@$(need-go)
	CGO_ENABLED=1 $(GOTEST) -race -p $(beside) -count=1 -timeout 15m -skip '$(one-goroutine)' $(longest-first) $$(go list ./... | grep -v -e /bench -e '/docs$$')

# Without a limit an input that reaches new code is made smaller for up to 60 s each, in which nothing new is tried.
# When the time is over, Go's coordinator now and then takes its own deadline for a failure (golang/go#51484: a bare "context deadline
# exceeded", and no input is written). Then the test is run once more, and what it says then counts.
fuzz: ## each fuzz test for FUZZTIME (15s)
	@$(need-go)
	@set -e; for pkg in $$(grep -rl '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u); do \
	  for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    run() { go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$pkg; }; \
	    echo "fuzz $$pkg $$f $(FUZZTIME)"; out=$$(run 2>&1) && code=0 || code=$$?; echo "$$out"; \
	    if [ $$code != 0 ]; then \
	      echo "$$out" | grep -qx ' *context deadline exceeded' && ! echo "$$out" | grep -q 'Failing input' || exit $$code; \
	      echo "fuzz $$pkg $$f once more"; run; \
	    fi; \
	  done; done

soak: ## two l4fwd behind a load balancer while upstreams die, names move, files are reloaded, instances upgraded and drained, for SOAK (60s); L4FWD_SOAK_SEED= for an earlier run's plans
	@$(need-go)
	L4FWD_SOAK_SECONDS=$(SOAK:%s=%) go test -count=1 -timeout 0 -v -run '^TestSoak$$' ./cmd/l4fwd/soak

MUTATED := ./eip ./eip/instance ./eip/lifecycle ./proxy/upstream ./proxy/limit ./proxy/preface ./proxy/resolve
mutate: ## small faults in the code that no test notices, in PKGS; N= faults tried in each package (60), 0 for all; SKIP= part of the names of tests left out (Moto); fails below 90 %
	@$(need-go)
	go run ./bench/mutate -n $(or $(N),60) -seed $(or $(SEED),1) -match '$(MATCH)' -skip '$(or $(SKIP),Moto)' $(or $(PKGS),$(MUTATED))

shape: ## the shape of the code in figures, beside what is wanted; ARGS=-v for the places
	@$(need-go)
	@go run ./bench/shape $(ARGS)

size: ## what each library costs in the binary; LIMIT= fails above so many MiB
	@$(need-go)
	@go run ./bench/size $(if $(LIMIT),-limit $(LIMIT))

lint: ## gofmt, go vet (Linux and macOS), staticcheck
	@$(need-go)
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "gofmt differs, run gofmt -w on:"; echo "$$bad"; exit 1; }
	go vet ./...
	GOOS=darwin CGO_ENABLED=0 go vet ./...
	GOARCH=arm64 CGO_ENABLED=0 go vet ./proxy/...
	$(STATICCHECK) ./...

bench: ## load test beside HAProxy, nginx and others; QUICK=1 ends within two minutes, ARGS= for flags
	@$(need-go)
	go run ./bench $(if $(QUICK),-quick) $(ARGS)

demo: ## a stand-in for Azure OpenAI, l4fwd in front, a streamed request through both; ONCE=1 ends after it
	@$(need-go)
	@go build -o $(BUILD)/demo ./bench/demo && exec $(BUILD)/demo $(if $(ONCE),-once)

docs: ## docs/CONFIG.md, all-keys.yaml, METRICS.md, LICENSES.md and the manual pages from the code; the README of each Terraform module from its variables
	@$(need-go)
	go run ./cmd/l4fwd docs config > docs/CONFIG.md.new && mv docs/CONFIG.md.new docs/CONFIG.md
	go run ./cmd/l4fwd docs keys > docs/all-keys.yaml.new && mv docs/all-keys.yaml.new docs/all-keys.yaml
	go run ./cmd/l4fwd docs metrics > docs/METRICS.md.new && mv docs/METRICS.md.new docs/METRICS.md
	go run ./cmd/l4fwd man > docs/l4fwd.1.new && mv docs/l4fwd.1.new docs/l4fwd.1
	go run ./cmd/l4fwd man l4fwd.yaml > docs/l4fwd.yaml.5.new && mv docs/l4fwd.yaml.5.new docs/l4fwd.yaml.5
	go run ./deploy/release/licenses > docs/LICENSES.md.new && mv docs/LICENSES.md.new docs/LICENSES.md
	go run ./deploy/terraform/readme deploy/terraform/aws deploy/terraform/azure deploy/terraform/databricks

kernels: ## tests, a load and the daemon on Linux 6.1 and 6.12, x86-64 and arm64, under QEMU; SHORT=1 ends within three minutes, ARCHIVE= a release's daemon, ARGS= for flags
	@$(need-go)
	go run ./bench/kernels $(if $(SHORT),-short) $(if $(ARCHIVE),-archive $(ARCHIVE)) $(ARGS)

image: ## container image l4fwd:VERSION for PLATFORMS (linux/amd64,linux/arm64) with docker, podman or buildah; PUSH=REGISTRY/NAME
	@deploy/image/build.sh

packages: ## .deb and .rpm for amd64 and arm64 in build/release
	@$(need-go)
	@deploy/package/build.sh

release: ## archives for Linux (also with the FIPS module) and macOS in build/release, the same bytes for the same commit; provenance, checksums, SIGNING_KEY= for a signature
	@$(need-go)
	@deploy/release/build.sh

deploy-check: $(DEPLOY_CHECKS:%=deploy-check-%) ## everything under deploy/, as far as this machine can; what it cannot is skipped by name

deploy-check-terraform: ## the Terraform modules: fmt, validate, tests, apply against moto, an instance from boot to scale-in, provider schemas
	@deploy/check/terraform.sh

deploy-check-systemd: ## the unit, by systemd-analyze and run by systemd; sysctl; packages installed into empty roots
	@deploy/check/systemd.sh

deploy-check-observability: ## alert rules and their tests, dashboard, CloudWatch configuration, runbook
	@deploy/check/observability.sh

deploy-check-manifests: ## ECS and Kubernetes
	@deploy/check/manifests.sh

deploy-check-image: ## the Dockerfile: steps replayed, built by buildah for PLATFORMS
	@deploy/check/image.sh

deploy-check-release: ## release archives, built twice; verified as a stranger does
	@deploy/check/release.sh

clean: ## remove what was built
	rm -rf $(BUILD) bench/results/latest.*
